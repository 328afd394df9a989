output "functions" {
  description = "Where each function answers, for those who may call it without the load balancer."
  value       = { for name, function in module.function : name => function.uri }
}

output "buckets" {
  value = { for purpose, bucket in google_storage_bucket.this : purpose => bucket.name }
}

output "kms_key" {
  description = "What `python -m ops` is given as KMS_KEY."
  value       = "gcp-kms://${local.keys["patients"]}"
}

output "secrets" {
  description = "Secrets that the operator may add a version to; then name them in `secrets`."
  value       = sort(keys(local.given_secrets))
}

output "version" {
  value = local.version
}
