# A key for each purpose, so that one can be withdrawn, and its use be audited, without the others.
# They are software keys: an HSM's cost ten times as much, and HIPAA does not ask for one.
locals {
  # What these encrypt outlives any machine: without the key it is gone.
  data_keys = {
    database = local.firestore_key_location
    # Wraps patients' keys. It lies where the database does: copies in several
    # regions would be worth little if one region's loss took the key.
    patients = local.firestore_key_location
    storage  = var.region
    secrets  = var.region
    logs     = var.region
  }

  # What these encrypt can be made again.
  working_keys = {
    functions = var.region # functions, their source and their images
    pubsub    = var.region
    scanner   = var.region # disks of the scanner's machines
  }

  keys = {
    for purpose, key in merge(google_kms_crypto_key.data, google_kms_crypto_key.working) : purpose => key.id
  }
}

resource "google_kms_key_ring" "this" {
  for_each = toset(concat(values(local.data_keys), values(local.working_keys)))

  name     = "healthhub"
  location = each.key

  depends_on = [google_project_service.enabled]
}

resource "google_kms_crypto_key" "data" {
  for_each = local.data_keys

  name            = each.key
  key_ring        = google_kms_key_ring.this[each.value].id
  rotation_period = "7776000s" # 90 days

  # In every environment, for it can't be a variable: who ends an environment deletes its project.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key" "working" {
  #checkov:skip=CKV_GCP_82:what these encrypt can be made again; production protects them by deletion_policy
  for_each = local.working_keys

  name            = each.key
  key_ring        = google_kms_key_ring.this[each.value].id
  rotation_period = "7776000s"
  deletion_policy = var.is_protected ? "PREVENT" : "DELETE"
}

# ---------------------------------------------------------------- who may use them

# Google makes a service's agent when the service is first used; a grant needs it before.
resource "google_project_service_identity" "agent" {
  provider = google-beta
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudfunctions.googleapis.com",
    "firestore.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "speech.googleapis.com",
  ])

  service = each.key

  depends_on = [google_project_service.enabled]
}

# Storage's agent is made when it is asked for.
data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.enabled]
}

locals {
  # Their documented addresses: they say in a plan whom a grant is for.
  agents = {
    for name, domain in {
      artifact_registry = "gcp-sa-artifactregistry"
      firestore         = "gcp-sa-firestore"
      functions         = "gcf-admin-robot"
      pubsub            = "gcp-sa-pubsub"
      run               = "serverless-robot-prod"
      secrets           = "gcp-sa-secretmanager"
      speech            = "gcp-sa-speech"
      storage           = "gs-project-accounts"
    } : name => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com"
  }

  # `logs` is granted in audit_logs.tf, `scanner` in scanner.tf, `patients` in iam.tf.
  key_users = {
    database  = ["firestore"]
    storage   = ["storage"]
    functions = ["functions", "run", "artifact_registry", "storage"]
    pubsub    = ["pubsub"]
    secrets   = ["secrets"]
  }

  key_grants = merge([
    for purpose, users in local.key_users : {
      for user in users : "${purpose} ${user}" => { purpose = purpose, user = user }
    }
  ]...)
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.key_grants

  crypto_key_id = local.keys[each.value.purpose]
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.agents[each.value.user]

  depends_on = [
    google_project_service_identity.agent,
    data.google_storage_project_service_account.this,
  ]
}
