# Patients. Protected, warm, and with copies in several regions.
project_id  = "healthhub-prod-1f7a"
environment = "prod"
domain      = "api.healthhub.example.org"

region             = "us-central1"
firestore_location = "nam5"

is_protected   = true
audit_log_days = 2192
backup_days    = 98
retention      = ""

is_warm       = true
max_instances = 100

alert_emails    = ["oncall@example.org", "security@example.org"]
billing_account = "000000-000000-000000"
monthly_budget  = 3000

cors_origins    = ["https://app.healthhub.example.org"]
sign_in_domains = ["app.healthhub.example.org"]

requests_per_minute = {
  address = 600
  token   = 6000
  sign_in = 30
}
is_firewall_preview = false
scanners            = 2

trace_ratio = 0.05

speech = {
  location = "us"
  model    = "medical_conversation"
}
note_model     = "gpt-4.1"
healthcare_nlp = ""
mail = {
  host   = "smtp.example.org"
  port   = 587
  user   = "healthhub"
  sender = "HealthHub <no-reply@healthhub.example.org>"
}

secrets = []
