# As production is, but smaller: where a release is tried before it goes there.
project_id  = "healthhub-staging-8b2e"
environment = "staging"
domain      = "api.staging.healthhub.example.org"

region             = "us-central1"
firestore_location = "us-central1"

is_protected   = false
audit_log_days = 90
backup_days    = 14
retention      = ""

is_warm       = false
max_instances = 20

alert_emails    = ["healthhub-staging@example.org"]
billing_account = ""
monthly_budget  = 300

cors_origins    = ["https://app.staging.healthhub.example.org"]
sign_in_domains = ["app.staging.healthhub.example.org"]

requests_per_minute = {
  address = 600
  token   = 6000
  sign_in = 30
}
is_firewall_preview = false
scanners            = 1

trace_ratio = 0.2

speech = {
  location = "us"
  model    = "medical_conversation"
}
note_model     = "gpt-4.1"
healthcare_nlp = ""
mail = {
  host   = "smtp.example.org"
  port   = 587
  user   = "healthhub-staging"
  sender = "HealthHub staging <no-reply@staging.healthhub.example.org>"
}

secrets = []
