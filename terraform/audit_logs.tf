# Who did what: Google's own audit logs of the services that hold patients' data, and the
# application's audit lines, kept together where nobody can shorten or delete them.
# Everything else goes to a second bucket. Both lie in var.region under our key, which the
# bucket _Default can't: it is global, and a bucket takes a key only when it is made.

locals {
  # Admin activity is always logged. These are the reads and writes, off by default.
  audited = {
    "datastore.googleapis.com" = { # the name under which Firestore is set up; its lines say firestore.googleapis.com
      # The functions' own reads and writes are told by the application's trail, one event for each
      # access; logging each call once more would cost more than the calls. Apps that listen directly
      # and people are logged, and who makes a token for a function's account raises token_made.
      exempt = [for function in module.function : "serviceAccount:${function.service_account_email}"]
    }
    "storage.googleapis.com"         = { exempt = [] }
    "cloudkms.googleapis.com"        = { exempt = [] }
    "secretmanager.googleapis.com"   = { exempt = [] }
    "identitytoolkit.googleapis.com" = { exempt = [] }
    "pubsub.googleapis.com"          = { exempt = [] } # dead letters can be pulled from it by hand
    "iam.googleapis.com"             = { exempt = [] } # and with it who makes tokens for service accounts
    "logging.googleapis.com"         = { exempt = [] } # who reads the trail leaves one too
  }

  is_audit = "(resource.type=\"cloud_run_revision\" AND jsonPayload.logger=\"healthhub.audit\") OR logName:\"/logs/cloudaudit.googleapis.com\""

  log_buckets = {
    audit = {
      description = "The audit trail: who accessed patients' data, and Google Cloud's audit logs."
      days        = var.audit_log_days
      is_locked   = var.is_protected # for good: neither the period nor the bucket can be taken back
      filter      = local.is_audit
    }
    application = {
      description = "All other log lines. No patient's data is in them, but who was active and when."
      days        = var.application_log_days
      is_locked   = false
      # The address of a calendar's feed is its secret, and request logs would keep it.
      filter = "NOT (${local.is_audit}) AND NOT httpRequest.requestUrl:\"?token=\""
    }
  }
}

resource "google_project_iam_audit_config" "data_access" {
  for_each = local.audited
  project  = var.project_id
  service  = each.key

  dynamic "audit_log_config" {
    for_each = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]
    content {
      log_type         = audit_log_config.value
      exempted_members = audit_log_config.value == "ADMIN_READ" ? [] : each.value.exempt
    }
  }

  depends_on = [google_project_service.enabled]
}

# ---------------------------------------------------------------- where it is kept

data "google_logging_project_cmek_settings" "this" {
  project    = var.project_id
  depends_on = [google_project_service.enabled] # the account is made with the API
}

resource "google_kms_crypto_key_iam_member" "logs" {
  crypto_key_id = local.keys.logs
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${data.google_logging_project_cmek_settings.this.service_account_id}"
}

resource "google_logging_project_bucket_config" "this" {
  for_each       = local.log_buckets
  project        = var.project_id
  location       = var.region
  bucket_id      = each.key
  description    = each.value.description
  retention_days = each.value.days
  locked         = each.value.is_locked

  cmek_settings {
    kms_key_name = local.keys.logs
  }

  depends_on = [google_kms_crypto_key_iam_member.logs]
}

# A bucket of the same project needs no grant to the sink's writer.
resource "google_logging_project_sink" "this" {
  for_each    = local.log_buckets
  name        = each.key
  description = each.value.description
  destination = "logging.googleapis.com/${google_logging_project_bucket_config.this[each.key].id}"
  filter      = each.value.filter
}

# The API of exclusions is that of the sink _Default. Nothing is kept twice, nothing outside the
# region and our key. _Required, which nobody can change, keeps its 400 days of admin activity.
resource "google_logging_project_exclusion" "default" {
  name        = "kept-in-our-buckets"
  description = "Every line is in the bucket audit or application."
  filter      = "severity>=DEFAULT"

  depends_on = [google_logging_project_sink.this]
}

# ---------------------------------------------------------------- who may read it

# A view can't ask for a field of a line, but for the log it came by: of what functions write to
# standard output, only audit lines come into this bucket.
resource "google_logging_log_view" "trail" {
  name        = "trail"
  description = "Who accessed which patient's data, as the application tells it."
  parent      = "projects/${var.project_id}"
  location    = var.region
  bucket      = google_logging_project_bucket_config.this["audit"].bucket_id
  filter      = "LOG_ID(\"run.googleapis.com/stdout\")"
}

resource "google_logging_log_view_iam_member" "auditors" {
  for_each = toset(var.auditors)
  name     = google_logging_log_view.trail.name
  parent   = google_logging_log_view.trail.parent
  location = google_logging_log_view.trail.location
  bucket   = google_logging_log_view.trail.bucket
  role     = "roles/logging.viewAccessor"
  member   = each.value
}
