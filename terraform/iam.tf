# What each function may reach: what its row in the catalogue says, and nothing else. Roles are bound
# to the one object where the API allows that; to the project where it does not.
locals {
  accounts = {
    for name, function in module.function : name => "serviceAccount:${function.service_account_email}"
  }

  uses = { for name, function in local.catalog : name => toset(try(function.uses, [])) }
}

# ---------------------------------------------------------------- databases

locals {
  database_grants = merge([
    for name, uses in local.uses : {
      for database in concat(["(default)"], contains(uses, "keys") ? ["keys"] : []) :
      "${name} ${database}" => { function = name, database = database }
    }
  ]...)
}

# A role on Firestore is the project's: the condition makes it one database's.
resource "google_project_iam_member" "database" {
  for_each = local.database_grants

  project = var.project_id
  role    = "roles/datastore.user"
  member  = local.accounts[each.value.function]

  condition {
    title      = "only the database ${each.value.database}"
    expression = "resource.name == \"projects/${var.project_id}/databases/${each.value.database}\""
  }
}

# Wraps and unwraps patients' keys.
resource "google_kms_crypto_key_iam_member" "patients" {
  for_each = { for name, uses in local.uses : name => name if contains(uses, "keys") }

  crypto_key_id = local.keys["patients"]
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.accounts[each.key]
}

# ---------------------------------------------------------------- objects

locals {
  object_roles = {
    read   = "roles/storage.objectViewer"
    create = "roles/storage.objectCreator"
    delete = google_project_iam_custom_role.object_deleter.name
  }

  object_grants = merge(flatten([
    for name, function in local.catalog : [
      for bucket, verbs in try(function.buckets, {}) : {
        for verb in verbs : "${name} ${verb} ${bucket}" => { function = name, bucket = bucket, verb = verb }
      }
    ]
  ])...)
}

# Google's narrowest role that deletes also reads. Finding what lies below a name is part of deleting it.
resource "google_project_iam_custom_role" "object_deleter" {
  role_id     = "healthhubObjectDeleter"
  title       = "HealthHub: delete objects unread"
  permissions = ["storage.objects.delete", "storage.objects.list"]

  depends_on = [google_project_service.enabled]
}

resource "google_storage_bucket_iam_member" "function" {
  for_each = local.object_grants

  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = local.object_roles[each.value.verb]
  member = local.accounts[each.value.function]
}

# A batch recognition opens its files and writes its result as Speech-to-Text's own agent; that the
# caller may read them too is not enough.
resource "google_storage_bucket_iam_member" "speech" {
  for_each = toset(["roles/storage.objectViewer", "roles/storage.objectCreator"])

  bucket = google_storage_bucket.this["results"].name
  role   = each.key
  member = local.agents["speech"]

  depends_on = [google_project_service_identity.agent]
}

# Upload URLs are signed by IAM, as the function's own account: there is no key to lose.
resource "google_service_account_iam_member" "signing" {
  for_each = { for name, uses in local.uses : name => name if contains(uses, "signing") }

  service_account_id = module.function[each.key].service_account_id
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.accounts[each.key]
}

# ---------------------------------------------------------------- services

# Google's own role for this may also change how people sign in.
resource "google_project_iam_custom_role" "account_keeper" {
  role_id = "healthhubAccountKeeper"
  title   = "HealthHub: administer accounts"
  permissions = [
    "firebaseauth.users.create",
    "firebaseauth.users.delete",
    "firebaseauth.users.get",
    "firebaseauth.users.update",
  ]

  depends_on = [google_project_service.enabled]
}

# Google's own role for this may also read delivery data and manage topics.
resource "google_project_iam_custom_role" "push_sender" {
  role_id     = "healthhubPushSender"
  title       = "HealthHub: send push messages"
  permissions = ["cloudmessaging.messages.create"]

  depends_on = [google_project_service.enabled]
}

locals {
  # These services have no smaller resource than the project.
  service_roles = merge(
    {
      accounts = google_project_iam_custom_role.account_keeper.name
      push     = google_project_iam_custom_role.push_sender.name
      speech   = "roles/speech.client"
      # Cloud Vision has no role of its own: whoever may use the project's services may ask it.
      vision = "roles/serviceusage.serviceUsageConsumer"
    },
    var.healthcare_nlp == "" ? {} : { healthcare_nlp = "roles/healthcare.nlpServiceViewer" },
  )

  service_grants = merge([
    for name, uses in local.uses : {
      for use in setintersection(uses, keys(local.service_roles)) :
      "${name} ${use}" => { function = name, use = use }
    }
  ]...)
}

resource "google_project_iam_member" "service" {
  for_each = local.service_grants

  project = var.project_id
  role    = local.service_roles[each.value.use]
  member  = local.accounts[each.value.function]
}

resource "google_project_iam_member" "traces" {
  for_each = local.catalog

  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = local.accounts[each.key]
}

locals {
  publish_grants = merge([
    for name, function in local.catalog : {
      for target in try(function.publishes_to, []) : "${name} ${target}" => { function = name, target = target }
    }
  ]...)
}

resource "google_pubsub_topic_iam_member" "function" {
  for_each = local.publish_grants

  topic  = google_pubsub_topic.function[each.value.target].id
  role   = "roles/pubsub.publisher"
  member = local.accounts[each.value.function]
}
