# Every API that the platform calls, or that a service which it calls needs in turn.
locals {
  apis = concat(
    [
      "apikeys.googleapis.com",
      "artifactregistry.googleapis.com",
      "certificatemanager.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudfunctions.googleapis.com",
      "cloudkms.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "cloudscheduler.googleapis.com",
      "cloudtrace.googleapis.com",
      "compute.googleapis.com",
      "fcm.googleapis.com",
      "fcmregistrations.googleapis.com",      # an app gets its push token there
      "firebaseinstallations.googleapis.com", # and its installation's id here
      "firebase.googleapis.com",
      "firebaserules.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "iamcredentials.googleapis.com", # signs upload URLs
      "identitytoolkit.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
      "securetoken.googleapis.com",
      "serviceusage.googleapis.com",
      "speech.googleapis.com",
      "vision.googleapis.com",
      "storage.googleapis.com",
      "sts.googleapis.com", # deployment without a key
      "telemetry.googleapis.com",
    ],
    # An API that nobody asks is one more way in.
    var.healthcare_nlp == "" ? [] : ["healthcare.googleapis.com"],
    var.billing_account == "" ? [] : ["billingbudgets.googleapis.com"],
  )
}

resource "google_project_service" "enabled" {
  for_each = toset(local.apis)

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false # others in the project may use it too
}
