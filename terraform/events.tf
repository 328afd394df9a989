# What reaches functions that nobody calls. Pub/Sub delivers at least once and again after every failure,
# five times, later each time; what is then left goes to the dead letters and waits for an operator.
locals {
  max_deliveries = 5 # as MAX_DELIVERIES of common/events.py

  # Subscribed to a topic of their own; the others' is that of the dead letters.
  own_topics = { for name, topic in local.topics : name => topic if topic != "dead-letters" }

  # A clock's message says nothing but that it is time, and the next one says it again: an hour's worth
  # is more than enough. Everything else waits for as long as Pub/Sub keeps it without a surcharge.
  retained = { for name in keys(local.topics) : name => contains(keys(local.clocks), name) ? "3600s" : "604800s" }
}

resource "google_pubsub_topic" "function" {
  for_each = local.own_topics

  name         = each.value
  kms_key_name = local.keys["pubsub"]

  # Names of objects hold patients' ids: they stay in the region.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic" "dead_letters" {
  name         = "dead-letters"
  kms_key_name = local.keys["pubsub"]

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# ---------------------------------------------------------------- what buckets tell

resource "google_storage_notification" "stored" {
  for_each = local.stored

  bucket             = google_storage_bucket.this[each.value.stored.bucket].name
  object_name_prefix = each.value.stored.prefix
  event_types        = ["OBJECT_FINALIZE"]
  payload_format     = "JSON_API_V1"
  topic              = google_pubsub_topic.function[each.key].id

  depends_on = [google_pubsub_topic_iam_member.storage]
}

resource "google_pubsub_topic_iam_member" "storage" {
  for_each = local.stored

  topic  = google_pubsub_topic.function[each.key].id
  role   = "roles/pubsub.publisher"
  member = local.agents["storage"]

  depends_on = [data.google_storage_project_service_account.this]
}

# ---------------------------------------------------------------- deliveries

# Whom the functions behind Pub/Sub answer, and nobody else.
resource "google_service_account" "push" {
  account_id   = "pubsub-push"
  display_name = "Delivers messages to functions"

  depends_on = [google_project_service.enabled]
}

resource "google_service_account_iam_member" "push" {
  service_account_id = google_service_account.push.id
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.agents["pubsub"]

  depends_on = [google_project_service_identity.agent]
}

# Named exactly like the function: a dead letter says by it whose it was.
resource "google_pubsub_subscription" "function" {
  for_each = local.topics

  name                       = each.key
  topic                      = contains(keys(local.own_topics), each.key) ? google_pubsub_topic.function[each.key].id : google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = min(max(local.catalog[each.key].timeout, 10), 600)
  message_retention_duration = local.retained[each.key]

  push_config {
    push_endpoint = "${module.function[each.key].uri}/"
    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = module.function[each.key].uri
    }
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  # Clocks have one too: a tick that failed five times is one that somebody should know of. All ticks
  # of a function are one dead letter, for they say the same. What can't be kept has none: it would
  # only come back here.
  dynamic "dead_letter_policy" {
    for_each = contains(keys(local.own_topics), each.key) ? [google_pubsub_topic.dead_letters.id] : []
    content {
      dead_letter_topic     = dead_letter_policy.value
      max_delivery_attempts = local.max_deliveries
    }
  }

  # Never: the default deletes a subscription that was idle for a month.
  expiration_policy {
    ttl = ""
  }

  depends_on = [google_service_account_iam_member.push]
}

# Every dead letter once more, so that nothing is lost should keep_dead_letters itself fail.
resource "google_pubsub_subscription" "dead_letters_kept" {
  name                       = "dead-letters-kept"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself moves a message: it publishes to the one and acknowledges in the other.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = local.agents["pubsub"]

  depends_on = [google_project_service_identity.agent]
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = local.own_topics

  subscription = google_pubsub_subscription.function[each.key].id
  role         = "roles/pubsub.subscriber"
  member       = local.agents["pubsub"]

  depends_on = [google_project_service_identity.agent]
}
