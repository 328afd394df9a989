output "name" {
  description = "The Cloud Functions name."
  value       = google_cloudfunctions2_function.this.name
}

output "service" {
  description = "The Cloud Run service's name, which is the same."
  value       = google_cloudfunctions2_function.this.name
}

output "uri" {
  value = google_cloudfunctions2_function.this.service_config[0].uri
}

output "service_account_email" {
  value = google_service_account.this.email
}

output "service_account_id" {
  value = google_service_account.this.id
}

output "files" {
  description = "What is in its bundle."
  value       = sort(keys(local.files))
}
