# Objects: what apps send, what is made of it, what was refused, and copies of the records.
locals {
  # Recordings hold what was said in clear. When a clinician deletes one, or a patient is erased, it
  # must be gone when the patient's key is gone from the last backup: after seven days. So there is
  # no retention policy on them, which would make the API's DELETE fail (how long a recording is kept
  # at least is the application's RETENTION), and what was deleted is kept for six days, not more,
  # for a lifecycle rule takes up to a day. Soft delete would add another seven, so it is off.
  day  = 86400
  kept = { is_versioned = true, days_kept_deleted = 6 }

  buckets = {
    uploads = merge(local.kept, { delete_after_days = null, retention_days = null })

    # An operator looks at what was refused, and releases what was held back; nobody looks after three months.
    quarantine = merge(local.kept, { delete_after_days = 90, retention_days = null })

    # What images are shown by, and their copies without identifiers; both can be made again from the upload.
    previews     = merge(local.kept, { delete_after_days = null, retention_days = null })
    deidentified = merge(local.kept, { delete_after_days = null, retention_days = null })

    # Transcripts and converted copies, each deleted as soon as it is stored where it belongs. The rule
    # takes what a crash leaves; old versions would be transcripts in clear that nobody erases.
    results = { is_versioned = false, days_kept_deleted = null, delete_after_days = 1, retention_days = null }

    # Exports of the records, which no one may change or delete too early. They hold sealed fields
    # only, and no patient's key, so an erasure reaches them. Retention and versions exclude each other.
    backups = {
      is_versioned      = false
      days_kept_deleted = null
      delete_after_days = var.backup_days + 7
      retention_days    = var.is_protected ? var.backup_days : null
    }
  }

  upload_cors = jsondecode(file("${path.root}/../storage.cors.json"))
}

resource "google_storage_bucket" "this" {
  #checkov:skip=CKV_GCP_62:data access audit logs say who read what (audit_logs.tf)
  #checkov:skip=CKV_GCP_78:where versions would keep what was erased, there are none; see above
  for_each = local.buckets

  name                        = "${var.project_id}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.is_protected
  deletion_policy             = var.is_protected ? "PREVENT" : "DELETE"

  # A write that would be encrypted otherwise is refused.
  encryption {
    default_kms_key_name = local.keys["storage"]
    google_managed_encryption_enforcement_config {
      restriction_mode = "FullyRestricted"
    }
    customer_supplied_encryption_enforcement_config {
      restriction_mode = "FullyRestricted"
    }
  }

  versioning {
    enabled = each.value.is_versioned
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "retention_policy" {
    for_each = each.value.retention_days == null ? [] : [each.value.retention_days]
    content {
      retention_period = retention_policy.value * local.day
      is_locked        = true # for good: not even the project's owner can shorten it
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.days_kept_deleted == null ? [] : [each.value.days_kept_deleted]
    content {
      action {
        type = "Delete"
      }
      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        with_state                 = "ARCHIVED"
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after_days == null ? [] : [each.value.delete_after_days]
    content {
      action {
        type = "Delete"
      }
      condition {
        age        = lifecycle_rule.value
        with_state = "LIVE"
      }
    }
  }

  # Parts of an upload that was never completed cost as much as an object, and no list shows them.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  # Apps on phones need none; without an origin no browser may upload.
  dynamic "cors" {
    for_each = each.key == "uploads" && length(var.cors_origins) > 0 ? local.upload_cors : []
    content {
      origin          = var.cors_origins
      method          = cors.value.method
      response_header = cors.value.responseHeader
      max_age_seconds = cors.value.maxAgeSeconds
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# What functions are built from. An object is named after its content, so it never changes.
resource "google_storage_bucket" "sources" {
  #checkov:skip=CKV_GCP_62:data access audit logs say who read what (audit_logs.tf)
  name                        = "${var.project_id}-sources"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # it can be made again from the repository

  encryption {
    default_kms_key_name = local.keys["functions"]
  }

  # So that an older revision can be built again.
  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 90
      with_state                 = "ARCHIVED"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}
