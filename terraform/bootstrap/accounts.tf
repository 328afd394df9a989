# Who plans and who applies. Neither has Owner, Editor or Viewer, and neither has a role that reads
# patients' records, recordings or secrets, though applying means granting roles: whoever is `apply` could
# give itself one. So only approved code becomes it (github.tf), and the audit log tells every grant.

resource "google_service_account" "terraform" {
  for_each = {
    plan  = "Terraform: sees what would change"
    apply = "Terraform: changes it"
  }

  account_id   = "terraform-${each.key}"
  display_name = each.value

  depends_on = [google_project_service.enabled]
}

locals {
  roles = {
    plan = [
      "artifactregistry.viewer",
      "browser", # the project and its grants
      "certificatemanager.viewer",
      "cloudfunctions.viewer",
      "cloudkms.viewer",
      "cloudscheduler.viewer",
      "compute.viewer",
      "datastore.backupSchedulesViewer",
      "firebaserules.viewer",
      "iam.roleViewer",
      "iam.serviceAccountViewer",
      "logging.viewer",
      "monitoring.viewer",
      "pubsub.viewer",
      "run.viewer",
      "secretmanager.viewer", # not their values
      "serviceusage.apiKeysViewer",
      "serviceusage.serviceUsageConsumer", # calls are billed to the project
      "storage.bucketViewer",
    ]
    apply = [
      "artifactregistry.admin",   # the functions' images
      "certificatemanager.owner", # the load balancer's certificate; the editor can't delete
      "cloudfunctions.admin",     # the functions
      "cloudkms.admin",           # keys, their rotation and who uses them; it can't decrypt
      "cloudscheduler.admin",     # clocks
      "compute.instanceAdmin.v1", # the scanner's machines
      "compute.networkAdmin",     # the load balancer and the network
      "compute.securityAdmin",    # Cloud Armor, firewalls, certificates
      "datastore.backupSchedulesAdmin",
      "datastore.indexAdmin",            # indexes and TTLs; it can't read documents
      "firebaserules.admin",             # firestore.rules
      "iam.roleAdmin",                   # roles narrower than Google's
      "iam.serviceAccountAdmin",         # an account for each function
      "iam.serviceAccountUser",          # a function can be given only an account that who deploys may act as
      "logging.configWriter",            # sinks, buckets and metrics; it can't read logs
      "monitoring.editor",               # alerts, dashboards, uptime checks
      "pubsub.admin",                    # topics, subscriptions and who uses them
      "resourcemanager.projectIamAdmin", # grants that only a project can hold, and the audit of data access
      "run.admin",                       # who may call a function
      "serviceusage.apiKeysAdmin",       # the key for sign-in
      "serviceusage.serviceUsageAdmin",  # APIs
    ]
  }

  # What no role of Google's gives without reading patients' data, or without changing something.
  permissions = {
    plan = [
      "artifactregistry.repositories.getIamPolicy",
      "cloudkms.cryptoKeys.getIamPolicy",
      "datastore.databases.getMetadata",
      "datastore.databases.list",
      "datastore.schemas.get",
      "datastore.schemas.list",
      "firebase.projects.get",
      "firebaseauth.configs.get",
      "logging.settings.get",
      "logging.views.getIamPolicy",
      "pubsub.subscriptions.getIamPolicy",
      "pubsub.topics.getIamPolicy",
      "storage.buckets.getIamPolicy",
    ]
    apply = [
      "datastore.databases.create", # Datastore Owner reads every document
      "datastore.databases.delete",
      "datastore.databases.list",
      "datastore.databases.update",
      "firebase.projects.get", # Firebase Admin reads them too
      "firebase.projects.update",
      "firebaseauth.configs.create", # Identity Platform Admin signs in as anybody
      "firebaseauth.configs.get",
      "firebaseauth.configs.update",
      "logging.views.setIamPolicy",   # Logging Admin reads the audit log
      "secretmanager.secrets.create", # Secret Manager Admin reads the values
      "secretmanager.secrets.delete",
      "secretmanager.secrets.get",
      "secretmanager.secrets.getIamPolicy",
      "secretmanager.secrets.list",
      "secretmanager.secrets.setIamPolicy",
      "secretmanager.secrets.update",
      "secretmanager.versions.add",
      "secretmanager.versions.destroy",
      "secretmanager.versions.disable",
      "secretmanager.versions.enable",
      "secretmanager.versions.get",
      "secretmanager.versions.list",
      "storage.buckets.create", # Storage Admin hears every recording
      "storage.buckets.delete",
      "storage.buckets.get",
      "storage.buckets.getIamPolicy",
      "storage.buckets.list",
      "storage.buckets.setIamPolicy",
      "storage.buckets.update",
    ]
  }

  grants = merge([
    for account, roles in local.roles : {
      for role in roles : "${account} ${role}" => { account = account, role = "roles/${role}" }
    }
  ]...)
}

resource "google_project_iam_member" "terraform" {
  for_each = local.grants

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.terraform[each.value.account].member
}

resource "google_project_iam_custom_role" "terraform" {
  for_each = local.permissions

  role_id     = "healthhubTerraform${title(each.key)}"
  title       = "HealthHub: Terraform ${each.key}"
  permissions = each.value

  depends_on = [google_project_service.enabled]
}

resource "google_project_iam_member" "custom" {
  for_each = google_project_iam_custom_role.terraform

  project = var.project_id
  role    = each.value.name
  member  = google_service_account.terraform[each.key].member
}

# The functions' archives, in a bucket that is made later. No other bucket's objects concern a deployment.
resource "google_project_iam_member" "sources" {
  for_each = {
    plan  = "roles/storage.objectViewer"
    apply = "roles/storage.objectUser"
  }

  project = var.project_id
  role    = each.value
  member  = google_service_account.terraform[each.key].member

  condition {
    title      = "only what functions are built from"
    expression = "resource.name.startsWith(\"projects/_/buckets/${var.project_id}-sources/\")"
  }
}

# A budget belongs to the billing account, which has no smaller roles for it.
resource "google_billing_account_iam_member" "budget" {
  for_each = var.billing_account == "" ? {} : {
    plan  = "roles/billing.viewer"
    apply = "roles/billing.costsManager"
  }

  billing_account_id = var.billing_account
  role               = each.value
  member             = google_service_account.terraform[each.key].member
}

# People apply as the same account, and with its roles only: GOOGLE_IMPERSONATE_SERVICE_ACCOUNT.
resource "google_service_account_iam_member" "deployer" {
  for_each = var.deployers

  service_account_id = google_service_account.terraform["apply"].id
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}
