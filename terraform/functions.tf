# Every function of the catalogue, by one module.
locals {
  pyproject      = file("${path.root}/../pyproject.toml")
  version        = regex("(?m)^version = \"([^\"]+)\"", local.pyproject)[0]
  python_version = join("", regex("requires-python = \">=(\\d+)\\.(\\d+)\"", local.pyproject))

  # Settings of common/settings.py. What is left out keeps its default there.
  environment = merge(
    {
      GOOGLE_CLOUD_PROJECT        = var.project_id
      HEALTHHUB_VERSION           = local.version
      FUNCTION_USE_ASGI           = "true" # else the framework builds a Flask app before it sees that it is none
      OTEL_EXPORTER_OTLP_ENDPOINT = "https://telemetry.googleapis.com"
      TRACE_RATIO                 = tostring(var.trace_ratio)
    },
    var.retention == "" ? {} : { RETENTION = var.retention },
  )

  http_environment = length(var.cors_origins) == 0 ? {} : { CORS_ORIGINS = join(",", var.cors_origins) }

  # By what the catalogue says that a function uses.
  use_environment = {
    keys     = { KMS_KEY = "gcp-kms://${local.keys["patients"]}" }
    accounts = { IDENTITY_API_KEY = google_apikeys_key.identity.key_string }
    speech = {
      SPEECH_LOCATION = var.speech.location
      SPEECH_MODEL    = var.speech.model
    }
    vision = { VISION_LOCATION = var.vision_location }
    model = merge(
      {
        NOTE_MODEL      = var.note_model
        CHAT_MODEL      = var.assistant.chat_model
        CARE_MODEL      = var.assistant.care_model
        EMBEDDING_MODEL = var.assistant.embedding_model
        MODEL_PRICES    = var.assistant.prices
        DAILY_TOKENS    = tostring(var.assistant.daily_tokens)
        DAILY_CENTS     = tostring(var.assistant.daily_cents)
      },
      var.image_analyser == "" ? {} : {
        IMAGE_ANALYSER = var.image_analyser
        IMAGE_MODEL    = var.image_model
      },
    )
    healthcare_nlp = var.healthcare_nlp == "" ? {} : { HEALTHCARE_NLP = var.healthcare_nlp }
    mail = var.mail.host == "" ? {} : {
      SMTP_HOST = var.mail.host
      SMTP_PORT = tostring(var.mail.port)
      SMTP_USER = var.mail.user
      MAIL_FROM = var.mail.sender
    }
    scanner = var.scanners == 0 ? {} : { CLAMD_HOST = local.clamd_host }
  }
}

module "function" {
  source   = "./modules/function"
  for_each = local.catalog

  name       = each.key
  kind       = each.value.kind
  project_id = var.project_id
  region     = var.region
  runtime    = "python${local.python_version}"

  memory        = each.value.memory
  cpu           = each.value.cpu
  timeout       = each.value.timeout
  concurrency   = each.value.concurrency
  min_instances = var.is_warm ? try(each.value.min_instances, 0) : 0
  max_instances = var.max_instances

  environment = merge(concat(
    [local.environment, each.value.kind == "http" ? local.http_environment : {}],
    [for use in try(each.value.uses, []) : lookup(local.use_environment, use, {})],
  )...)
  secrets = local.function_secrets[each.key]

  # The scanner has no address outside our network.
  egress = contains(try(each.value.uses, []), "scanner") ? local.scanner_egress : null

  kms_key        = local.keys["functions"]
  sources_bucket = google_storage_bucket.sources.name
  repository     = google_artifact_registry_repository.functions.id
  builder        = google_service_account.builder.id
  pusher         = google_service_account.push.member
  is_protected   = var.is_protected

  # Before a new revision serves, there is what its build, its keys and its queries need.
  after = concat(
    [for grant in google_kms_crypto_key_iam_member.agent : grant.id],
    [for grant in google_project_iam_member.builder : grant.id],
    [for index in google_firestore_index.this : index.id],
    [
      google_artifact_registry_repository_iam_member.builder.id,
      google_storage_bucket_iam_member.builder.id,
    ],
  )
}

# ---------------------------------------------------------------- building

resource "google_artifact_registry_repository" "functions" {
  repository_id = "functions"
  location      = var.region
  format        = "DOCKER"
  kms_key_name  = local.keys["functions"]

  # Five releases to go back to; the rest only costs.
  cleanup_policies {
    id     = "keep-the-latest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-older"
    action = "DELETE"
    condition {
      older_than = "${30 * 86400}s"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# Without an account of their own, builds would run as the default one, which may edit the whole project.
resource "google_service_account" "builder" {
  account_id   = "function-builder"
  display_name = "Builds functions"

  depends_on = [google_project_service.enabled]
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  location   = google_artifact_registry_repository.functions.location
  repository = google_artifact_registry_repository.functions.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

resource "google_project_iam_member" "builder" {
  for_each = {
    logs = { role = "roles/logging.logWriter", buckets = [] }
    # Cloud Functions copies the source to buckets that it makes itself, with the key's hash in the
    # name, so there is none yet to bind the role to.
    copies = { role = "roles/storage.objectViewer", buckets = ["gcf-v2-sources-${data.google_project.this.number}-"] }
  }

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.builder.member

  dynamic "condition" {
    for_each = each.value.buckets
    content {
      title      = "only what functions are built from"
      expression = "resource.name.startsWith(\"projects/_/buckets/${condition.value}\")"
    }
  }
}
