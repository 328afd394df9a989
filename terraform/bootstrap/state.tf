# The state: which resource is which, and what Terraform knows of it. It holds no patient's data and no
# secret, but the web API key and a map of all there is.

resource "google_kms_key_ring" "terraform" {
  name     = "terraform"
  location = var.region

  depends_on = [google_project_service.enabled]
}

resource "google_kms_crypto_key" "state" {
  name            = "state"
  key_ring        = google_kms_key_ring.terraform.id
  rotation_period = "7776000s" # 90 days

  lifecycle {
    prevent_destroy = true
  }
}

data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.enabled]
}

resource "google_kms_crypto_key_iam_member" "storage" {
  crypto_key_id = google_kms_crypto_key.state.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = data.google_storage_project_service_account.this.member
}

resource "google_storage_bucket" "state" {
  #checkov:skip=CKV_GCP_62:data access audit logs say who read what (terraform/audit_logs.tf)
  name                        = "${var.project_id}-terraform-state" # `make deploy` relies on it
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  encryption {
    default_kms_key_name = google_kms_crypto_key.state.id
    google_managed_encryption_enforcement_config {
      restriction_mode = "FullyRestricted"
    }
    customer_supplied_encryption_enforcement_config {
      restriction_mode = "FullyRestricted"
    }
  }

  # A broken state is mended with the one before it.
  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      with_state                 = "ARCHIVED"
      num_newer_versions         = 30
      days_since_noncurrent_time = 90
    }
    action {
      type = "Delete"
    }
  }

  # Against who deletes the versions too.
  soft_delete_policy {
    retention_duration_seconds = 30 * 86400
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.storage]
}

# The plan takes no lock (ops/deploy.py), so reading is enough for it.
resource "google_storage_bucket_iam_member" "state" {
  for_each = {
    plan  = "roles/storage.objectViewer"
    apply = "roles/storage.objectUser"
  }

  bucket = google_storage_bucket.state.name
  role   = each.value
  member = google_service_account.terraform[each.key].member
}
