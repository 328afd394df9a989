# One function: its bundle, its account, the function itself, and who may call it.
locals {
  root         = "${path.module}/../../.."
  folder       = "${local.root}/functions/${var.name}"
  service_name = replace(var.name, "_", "-")

  # The same files as local/bundles.py puts into a bundle, so that tests run what is deployed: the
  # function's own at the root, except empty ones, then common/ and the requirements.
  files = merge(
    { for file in setsubtract(local.own, local.empty) : file => "${local.folder}/${file}" },
    {
      for file in fileset("${local.root}/common", "**/*.{py,json}") :
      "common/${file}" => "${local.root}/common/${file}"
    },
    { "requirements.txt" = "${local.root}/requirements.txt" },
  )

  own   = toset([for file in fileset(local.folder, "**/*.{py,json}") : file if !startswith(file, "common/")])
  empty = [for file in local.own : file if length(file("${local.folder}/${file}")) == 0]

  # Of the files, not of the archive: another archiver, or another day, makes no other source.
  digest = sha256(join("\n", [for file, path in local.files : "${file} ${filesha256(path)}"]))
}

# Of the folder, which links to common/ and the requirements. As `source` blocks, all contents would be
# kept in the state: eight megabytes, which Terraform writes again after every change. Byte code of a
# developer's machine stays out.
data "archive_file" "bundle" {
  type             = "zip"
  source_dir       = local.folder
  excludes         = concat(local.empty, ["__pycache__/**", "**/__pycache__/**"])
  output_path      = "${path.root}/.terraform/bundles/${var.name}.zip"
  output_file_mode = "0644"
}

# Named after its content: only a function whose files changed is built anew.
resource "google_storage_bucket_object" "source" {
  bucket       = var.sources_bucket
  name         = "${var.name}/${local.digest}.zip"
  source       = data.archive_file.bundle.output_path
  content_type = "application/zip"

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_service_account" "this" {
  account_id   = "fn-${local.service_name}" # 30 characters at most
  display_name = "Function ${var.name}"
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = { for variable, secret in var.secrets : variable => secret.secret }

  project   = var.project_id
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

# The Functions API has no field for probes or for more CPU while an instance starts: the platform
# does both by itself. It sends requests once the port is open; uptime checks ask /health.
resource "google_cloudfunctions2_function" "this" {
  name            = local.service_name
  location        = var.region
  kms_key_name    = var.kms_key
  deletion_policy = var.is_protected ? "PREVENT" : "DELETE"

  build_config {
    runtime           = var.runtime
    entry_point       = var.name
    service_account   = var.builder
    docker_repository = var.repository

    # The build compiles our files too, but an image keeps no times of change, so Python would take
    # byte code that goes by them for stale. With this it goes by content instead.
    environment_variables = {
      SOURCE_DATE_EPOCH = "315532800"
    }

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.this.email
    available_memory                 = var.memory
    available_cpu                    = tostring(var.cpu)
    timeout_seconds                  = var.timeout
    max_instance_request_concurrency = var.concurrency
    min_instance_count               = var.min_instances
    max_instance_count               = var.max_instances
    all_traffic_on_latest_revision   = true
    environment_variables            = var.environment

    # Nobody passes by the load balancer, where Cloud Armor is. Pub/Sub of this project counts as internal.
    ingress_settings = var.kind == "http" ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_INTERNAL_ONLY"

    # The rest of its traffic goes out as without a network.
    direct_vpc_egress = var.egress == null ? null : "VPC_EGRESS_PRIVATE_RANGES_ONLY"
    dynamic "direct_vpc_network_interface" {
      for_each = var.egress == null ? [] : [var.egress]
      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
      }
    }

    dynamic "secret_environment_variables" {
      for_each = var.secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }
  }

  # Cloud Run refuses a revision whose account can't read its secrets.
  depends_on = [google_secret_manager_secret_iam_member.this, var.after]
}

# An app has no account of Google's, so Cloud Run lets anybody pass who came through the load balancer;
# the function itself checks every ID token. What Pub/Sub calls answers Pub/Sub's identity only.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  project  = var.project_id
  location = var.region
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = var.kind == "http" ? "allUsers" : var.pusher
}
