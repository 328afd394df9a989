# The clock. A function works for longer than a scheduler waits, so it is told by its topic.
resource "google_cloud_scheduler_job" "clock" {
  for_each = local.clocks

  name      = each.key
  region    = var.region
  schedule  = each.value.schedule
  time_zone = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.function[each.key].id
    data       = base64encode("{}")
  }

  # That a message could not be published. The attempt deadline counts for HTTP targets only.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "5s"
    max_backoff_duration = "30s"
  }

  depends_on = [google_project_service.enabled]
}
