# When somebody is told, and what of. Each alarm says what it means and the first three steps;
# docs/operations.md has the runbook.
#
# Conditions are PromQL: a ratio over two windows, a quantile by function and "nothing came" are each
# one expression, one policy covers every function, and the metric need not exist yet when the
# policy is made. What Google's audit logs tell is matched line by line instead, at once.

resource "google_monitoring_notification_channel" "email" {
  for_each     = toset(var.alert_emails)
  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = local.labels

  depends_on = [google_project_service.enabled]
}

locals {
  channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  # ---------------------------------------------------------------- words of PromQL

  services      = { for name in keys(local.catalog) : name => replace(name, "_", "-") }
  http_services = join("|", [for name in keys(local.http) : local.services[name]])
  http_names    = join("|", keys(local.http))
  subscriptions = join("|", [for subscription in google_pubsub_subscription.function : subscription.name])

  on_run   = "monitored_resource='cloud_run_revision'"
  requests = "run_googleapis_com:request_count{${local.on_run},service_name=~'${local.http_services}'}"
  errors   = "run_googleapis_com:request_count{${local.on_run},service_name=~'${local.http_services}',response_code_class='5xx'}"
  latency  = "logging_googleapis_com:user_request_latency_bucket{${local.on_run},function=~'${local.http_names}'}"
  measured = "logging_googleapis_com:user_request_latency_count{${local.on_run},function=~'${local.http_names}'}"

  # How far the sum of a business metric, or the lines of another, rose: rose["dead_letters"].
  rose = {
    for name, metric in local.metrics :
    name => "logging_googleapis_com:user_${name}${metric.kind == "count" ? "" : "_sum"}{${local.on_run}}"
  }

  images = {
    for end, label in { failed = "state", completed = "state", text_left = "deidentification" } :
    end => "logging_googleapis_com:user_images_sum{${local.on_run},${label}='${end}'}"
  }

  # ---------------------------------------------------------------- objectives

  availability_goal = 0.999
  errors_allowed    = 0.001 # the rest of it, said again because 1 - 0.999 is not 0.001 in floating point
  latency_goal      = 0.95
  latency_ms        = { p95 = 1000, p99 = 3000 }

  # https://sre.google/workbook/alerting-on-slos: 2 % of a month's errors within an hour, 5 % within
  # six. The short window ends the alarm soon after the errors; `least` keeps a quiet night quiet,
  # where a single error is a large share.
  burns = {
    fast = { severity = "CRITICAL", factor = 14.4, long = "1h", short = "5m", least = 5 }
    slow = { severity = "WARNING", factor = 6, long = "6h", short = "30m", least = 20 }
  }

  # A clock that fires each minute is missed after ten, one that fires each hour after three, others
  # after a day and an hour.
  clock_windows = {
    for name, function in local.clocks : name =>
    can(regex("^\\*", function.schedule)) ? "10m" : can(regex("^\\S+ \\*", function.schedule)) ? "3h" : "25h"
  }

  # ---------------------------------------------------------------- alarms on metrics

  alarms = merge(
    {
      for name, burn in local.burns : "errors_${name}" => {
        title    = "Errors use up the objective: ${name}"
        severity = burn.severity
        means    = "A function answers 5xx so often that the errors that a month may have (${format("%.1f", 100 * local.errors_allowed)} %) would be used up in ${name == "fast" ? "two days" : "five days"}."
        steps = [
          "See on the dashboard which function and since when; compare with the last deployment, and go back to the revision before if they coincide.",
          "Read its log lines `unforeseen error` (bucket application): the type of the error and where it was raised.",
          "If Firestore or KMS does not answer, see https://status.cloud.google.com; requests are answered 503 and may be repeated.",
        ]
        conditions = {
          "${burn.factor} times what is allowed, over ${burn.long} and ${burn.short}" = {
            query = join(" and ", [
              for window in [burn.long, burn.short] :
              "(sum by (service_name) (rate(${local.errors}[${window}])) / sum by (service_name) (rate(${local.requests}[${window}])) > ${format("%.4f", burn.factor * local.errors_allowed)})"
              ], [
              "(sum by (service_name) (increase(${local.errors}[${burn.long}])) >= ${burn.least})",
            ])
          }
        }
      }
    },
    {
      for name in keys(local.clocks) : "silent_${name}" => {
        title    = "Nothing from ${name}"
        severity = "ERROR"
        means    = "${name} did not once end well in ${local.clock_windows[name]}: it is not fired, or it fails each time. What it does stands still. After the very first deployment a clock of the night is silent until it has run."
        steps = [
          "`gcloud scheduler jobs list`: is its job enabled, and what did it answer last?",
          "Read the function's log lines: does it fail, and with what?",
          "Mend, then `gcloud scheduler jobs run` it once. It may be fired at any time and twice at once.",
        ]
        conditions = {
          "no success in ${local.clock_windows[name]}" = {
            query    = "(sum(increase(run_googleapis_com:request_count{${local.on_run},service_name='${local.services[name]}',response_code_class='2xx'}[${local.clock_windows[name]}])) or vector(0)) < 0.5"
            duration = "300s"
          }
        }
      }
    },
    {
      latency = {
        title    = "Requests are slow"
        severity = "WARNING"
        means    = "Of a function's requests, one in twenty takes longer than ${local.latency_ms.p95} ms, or one in a hundred longer than ${local.latency_ms.p99} ms. Streams, exports, uploads and drafts of notes are not counted."
        steps = [
          "See on the dashboard which function, and by route in the metric request_latency.",
          "Compare with instances and their starts: many new ones are cold starts (raise min_instances in functions/catalog.yaml), all busy is too few (max_instances).",
          "Look at traces of the slow route: what waits, Firestore, KMS or an outside service?",
        ]
        conditions = {
          for quantile, share in { p95 = 0.95, p99 = 0.99 } : "${quantile} over ${local.latency_ms[quantile]} ms" => {
            query                      = "(histogram_quantile(${share}, sum by (function, le) (rate(${local.latency}[10m]))) > ${local.latency_ms[quantile]}) and (sum by (function) (increase(${local.measured}[10m])) > 50)"
            duration                   = "300s"
          }
        }
      }

      dead_letters = {
        title    = "A message was given up"
        severity = "ERROR"
        means    = "A function could not take a message in five deliveries: a recording or a result waits. Nothing is lost; it is kept with its reason for 30 days."
        steps = [
          "`python -m ops dead-letters`: of which function, why, since when.",
          "Mend the reason: an outside service, a permission, a fault in the code.",
          "`python -m ops replay`, then see that the list is empty.",
        ]
        conditions = {
          "counted by keep_dead_letters" = {
            query = "sum by (function, of) (increase(${local.rose["dead_letters"]}[10m])) > 0"
          }
          # Also when keep_dead_letters itself fails.
          "kept by Pub/Sub" = {
            query = "delta(pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource='pubsub_subscription',subscription_id='${google_pubsub_subscription.dead_letters_kept.name}'}[15m]) > 0"
          }
        }
      }

      dead_letters_expire = {
        title    = "Copies of dead letters end soon"
        severity = "WARNING"
        means    = "The second copy of a dead letter, in the subscription ${google_pubsub_subscription.dead_letters_kept.name}, ends after seven days, and the oldest is five days old."
        steps = [
          "`python -m ops dead-letters`: are the same letters there?",
          "If they are, or were replayed, empty the subscription: `gcloud pubsub subscriptions seek ${google_pubsub_subscription.dead_letters_kept.name} --time=$(date -u +%Y-%m-%dT%H:%M:%SZ)`.",
          "If they are not, keep_dead_letters failed: pull them (`gcloud pubsub subscriptions pull`, without --auto-ack) before they end, and mend it.",
        ]
        conditions = {
          "older than five days" = {
            query = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource='pubsub_subscription',subscription_id='${google_pubsub_subscription.dead_letters_kept.name}'}) > 432000"
          }
        }
      }

      undelivered = {
        title    = "Messages wait for a function"
        severity = "WARNING"
        means    = "A message waits for longer than half an hour: its function fails and is tried again, or has too few instances. After five deliveries it becomes a dead letter."
        steps = [
          "See on the dashboard which subscription, and whether the number of messages grows.",
          "Read the function's log lines: what fails? An alarm of an outside service says the same.",
          "If it does not fail but is too slow, raise max_instances.",
        ]
        conditions = {
          "oldest over 30 minutes" = {
            query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource='pubsub_subscription',subscription_id=~'${local.subscriptions}'}) > 1800"
            duration = "300s"
          }
        }
      }

      stuck_work = {
        title    = "Work stands still"
        severity = "WARNING"
        means    = "The sweep had to begin more than five recordings or images anew within an hour: workers are killed, word of files is lost, or recognitions come to nothing."
        steps = [
          "Read the log lines of transcribe_audio, store_transcript and analyze_image: killed for memory, or out of time?",
          "See whether the bucket still tells Pub/Sub of new files (`gcloud storage buckets notifications list`).",
          "What was begun five times is `failed` with a reason: `python -m ops retry-transcription <id>` or `retry-image <id>` when mended.",
        ]
        conditions = {
          "more than five in an hour" = {
            query = "sum(increase(${local.rose["stuck_work"]}[1h])) > 5"
          }
        }
      }

      images_failed = {
        title    = "Images can't be analysed"
        severity = "WARNING"
        means    = "More than five images ended as failed within an hour: Cloud Vision gave no answer five times, or refused, or work on them was cut off each time. The files are kept."
        steps = [
          "See the reason on the dashboard: `vision_failed` is Cloud Vision's, its quota's or its permission's; `processing_failed` is ours.",
          "Read the log lines of analyze_image: killed for memory, or out of time? Which kind of file?",
          "`python -m ops retry-image <id>` when it is mended.",
        ]
        conditions = {
          "more than five in an hour" = {
            query = "sum by (reason) (increase(${local.images["failed"]}[1h])) > 5"
          }
        }
      }

      copies_withheld = {
        title    = "Images have no copy to be shared"
        severity = "WARNING"
        means    = "Of the images of six hours, more than 20 and more than a tenth still had text in their pixels after all was blacked out that was found. Nothing of them was shared, and Vision saw no more of them than to read."
        steps = [
          "Look at the analysis of a few: which words are left, and where? Often one machine writes into the image.",
          "If it is a texture that reads as letters, nothing is wrong but that there is no copy.",
          "If it is text, mend common/lettering.py with a picture that was drawn like it.",
        ]
        conditions = {
          "more than 20, and a tenth" = {
            query = "sum(increase(${local.images["text_left"]}[6h])) > 20 and sum(increase(${local.images["text_left"]}[6h])) > 0.1 * sum(increase(${local.images["completed"]}[6h]))"
          }
        }
      }

      audit_failures = {
        title    = "An audit event could not be stored"
        severity = "CRITICAL"
        means    = "An access to patients' data was stopped because it could not be recorded. Nothing was shown, but the function can't work for as long as this goes on."
        steps = [
          "See whether Firestore answers: the health of every function and https://status.cloud.google.com.",
          "See whether the secret AUDIT_KEY can be read by the function, and whether it was changed.",
          "Afterwards run `python -m ops verify-audit --logs audit.json`: no chain may be broken.",
        ]
        conditions = {
          "any" = {
            query = "sum by (function) (increase(${local.rose["audit_failures"]}[10m])) > 0"
          }
        }
      }

      break_glass = {
        title    = "A record was opened in an emergency"
        severity = "WARNING"
        means    = "A doctor opened a patient's record without being on the care team. It is allowed, ends after 60 minutes, and the patient and the administrators were told. Each use is reviewed."
        steps = [
          "List the uses (runbook, section Break-glass review): who, whose, when.",
          "Read the reason as an administrator, and ask the doctor if it does not explain itself.",
          "Note the outcome. If it was no emergency, deactivate the account and begin a breach assessment (45 CFR 164.402).",
        ]
        conditions = {
          "any" = {
            query = "sum(increase(${local.rose["break_glass"]}[10m])) > 0"
          }
        }
      }

      access_refused = {
        title    = "Many accesses are refused"
        severity = "WARNING"
        means    = "More than 100 accesses to somebody's data were refused in ten minutes: an app asks for what it may not have, or somebody tries ids."
        steps = [
          "Find who, in the view trail of the bucket audit: `jsonPayload.outcome=\"refused\"`, by actor_uid and address.",
          "One person, many patients: deactivate the account, which counts everywhere within 30 seconds.",
          "Many persons, one route: it is a fault of an app; tell its makers.",
        ]
        conditions = {
          "more than 100 in ten minutes" = {
            query = "sum(increase(${local.rose["access_refused"]}[10m])) > 100"
          }
        }
      }

      sign_in_refused = {
        title    = "Many sign-ins are refused"
        severity = "WARNING"
        means    = "More than 100 attempts at sign-in, registration or reset were refused in ten minutes. Accounts are protected by limits of their own; somebody may be trying passwords."
        steps = [
          "See by route and status: 429 means that the limits hold.",
          "Look for addresses in the load balancer's log; a few of them can be denied in Cloud Armor.",
          "Many of 401 and few of 429 from many addresses: lower requests_per_minute.sign_in, and tell the owners of accounts that were signed in to meanwhile.",
        ]
        conditions = {
          "more than 100 in ten minutes" = {
            query = "sum(increase(${local.rose["sign_in_refused"]}[10m])) > 100"
          }
        }
      }

      prompts_refused = {
        title    = "Many prompts are refused"
        severity = "WARNING"
        means    = "More than ten prompts in a quarter of an hour did not leave, because identifiers could not be taken out."
        steps = [
          "The label says for which purpose; nothing left that should not have.",
          "Look at what kind of text it was; transcripts of a new language or form are likely.",
          "Add it to tests/labelled/, and mend common/redaction.py.",
        ]
        conditions = {
          "more than ten in 15 minutes" = {
            query = "sum by (purpose) (increase(${local.rose["prompts_refused"]}[15m])) > 10"
          }
        }
      }

      sentences_left_out = {
        title    = "A model says what no source holds"
        severity = "WARNING"
        means    = "Within an hour more than 200 sentences of the assistant's answers were not let through, because no source held them or because they told somebody to wait. People saw shorter answers, or the knowledge base itself."
        steps = [
          "Was CHAT_MODEL or CARE_MODEL changed, or does OpenAI serve another version under the same name?",
          "The label `why` says which check they failed; `uncited` alone means that the model does not follow the instructions.",
          "Go back to the model before (`assistant` in the environment's variables).",
        ]
        conditions = {
          "more than 200 in an hour" = {
            query = "sum by (why) (increase(${local.rose["sentences_left_out"]}[1h])) > 200"
          }
        }
      }

      outside_failures = {
        title    = "An outside service fails"
        severity = "WARNING"
        means    = "Calls to a service that is not ours (speech, OpenAI, FCM, the mail relay, the Healthcare API) fail after all tries. What needs it waits and goes on by itself; nothing is lost."
        steps = [
          "The label `name` says which service, `kind` how it fails; see the provider's status.",
          "For one that refuses us: was a key, a quota or an agreement changed?",
          "If it lasts, tell the users what does not work. Dead letters may follow; replay them afterwards.",
        ]
        conditions = {
          "more than ten in ten minutes" = {
            query = "sum by (name, kind) (increase(${local.rose["outside_failures"]}[10m])) > 10"
          }
        }
      }

      not_scanned = {
        title    = "The scanner gives no verdict"
        severity = "ERROR"
        means    = "An upload was quarantined because clamd did not answer or looked at a part only. Nothing unscanned was released."
        steps = [
          "See whether the scanner machines are healthy, and their list of signatures current.",
          "Mend or replace them; the group makes new ones by itself.",
          "Copy what is in the quarantine with the reason `not_scanned` back under its name: it is looked at anew.",
        ]
        conditions = {
          "any" = {
            query = "sum by (function) (increase(${local.rose["not_scanned"]}[10m])) > 0"
          }
        }
      }

      failures_logged = {
        title    = "A function logged an error"
        severity = "ERROR"
        means    = "Our own code says that something failed that nobody waits for: a step of the purge, a message that was given up, a record that can't be read, an unforeseen error."
        steps = [
          "The labels say which function and what; read the line and its stack in the bucket application.",
          "Look the message up in docs/operations.md.",
          "A step of the purge is tried again by itself. A record that can't be read needs a person, with its path from the line.",
        ]
        conditions = {
          "any" = {
            query = "sum by (function, message) (increase(${local.rose["failures_logged"]}[10m])) > 0"
          }
        }
      }

      memory_exceeded = {
        title    = "An instance had too little memory"
        severity = "WARNING"
        means    = "Cloud Run stopped an instance for its memory. Its requests were answered 5xx; work in the background is begun again by the sweep."
        steps = [
          "See which function, and what it did then: a large file, many requests at once?",
          "Raise its memory or lower its concurrency in functions/catalog.yaml.",
          "If it grows slowly over days instead, look for a leak since the last deployment.",
        ]
        conditions = {
          "any" = {
            query = "sum by (service_name) (increase(${local.rose["memory_exceeded"]}[10m])) > 0"
          }
        }
      }

      capacity = {
        title    = "A function nears its most instances"
        severity = "WARNING"
        means    = "A function has more than four fifths of max_instances. Beyond them requests are answered 429."
        steps = [
          "Is it more people, or one client? See the load balancer's log by address.",
          "One client: lower requests_per_minute. More people: raise max_instances, and the quota of Cloud Run instances if needed.",
          "Slow answers also bind instances: see the alarm of latency.",
        ]
        conditions = {
          "more than 80 %" = {
            query    = "sum by (service_name) (max_over_time(run_googleapis_com:container_instance_count{${local.on_run}}[5m])) > ${floor(0.8 * var.max_instances)}"
            duration = "300s"
          }
        }
      }

      quota = {
        title    = "A quota is near or reached"
        severity = "WARNING"
        means    = "An API of Google Cloud refuses calls for a quota, or four fifths of one that is allocated are used."
        steps = [
          "The labels say which service and quota; see console.cloud.google.com/iam-admin/quotas.",
          "Is the use right? A loop or an attack looks the same.",
          "If it is, ask for more; it may take days.",
        ]
        conditions = {
          "reached" = {
            query = "max by (service, quota_metric, limit_name) (max_over_time(serviceruntime_googleapis_com:quota_exceeded{monitored_resource='consumer_quota'}[10m])) > 0"
          }
          "more than 80 %" = {
            query = "max by (service, location, quota_metric) (last_over_time(serviceruntime_googleapis_com:quota_allocation_usage{monitored_resource='consumer_quota'}[1d])) / min by (service, location, quota_metric) (last_over_time(serviceruntime_googleapis_com:quota_limit{monitored_resource='consumer_quota'}[1d]) > 0) > 0.8"
          }
        }
      }

      database_reads = {
        title    = "Far more is read than yesterday"
        severity = "WARNING"
        means    = "Firestore reads of the last hour are more than five times those of the same hour yesterday: a loop that costs money, a new app, or somebody who copies records."
        steps = [
          "See on the dashboard which database, and which function has more requests.",
          "No function has: look at direct readers in the bucket audit, protoPayload.serviceName=\"firestore.googleapis.com\".",
          "Stop it: go back to the revision before, or deactivate the account.",
        ]
        conditions = {
          "five times yesterday's" = {
            query    = "(sum(rate(firestore_googleapis_com:document_read_ops_count{monitored_resource='firestore.googleapis.com/Database'}[1h])) > 5 * sum(rate(firestore_googleapis_com:document_read_ops_count{monitored_resource='firestore.googleapis.com/Database'}[1h] offset 1d))) and (sum(rate(firestore_googleapis_com:document_read_ops_count{monitored_resource='firestore.googleapis.com/Database'}[1h])) > 50)"
            duration = "300s"
          }
        }
      }

      log_sinks = {
        title    = "Log lines do not reach their bucket"
        severity = "CRITICAL"
        means    = "A sink can't write. The audit trail in the log has a gap for as long as this goes on; the events in Firestore have not."
        steps = [
          "The label `name` says which sink. Cloud Logging also mails the reason to the project's owners.",
          "Likely reasons: the bucket's key is disabled, or the logging service's right to it was taken away.",
          "When mended, run `python -m ops verify-audit` without --logs for the time of the gap, and note it.",
        ]
        conditions = {
          "any" = {
            query = "sum by (name) (increase(logging_googleapis_com:exports_error_count{monitored_resource='logging_sink'}[10m])) > 0"
          }
        }
      }
    },
  )

  # ---------------------------------------------------------------- alarms on audit lines

  functions_accounts = join(" OR ", [for function in module.function : "\"${function.service_account_email}\""])

  log_alarms = {
    key_denied = {
      title    = "A key or a secret was refused"
      severity = "ERROR"
      filter   = "logName:\"/logs/cloudaudit.googleapis.com\" AND protoPayload.serviceName=(\"cloudkms.googleapis.com\" OR \"secretmanager.googleapis.com\") AND protoPayload.status.code=7"
      means    = "Somebody without the permission asked for a key or a secret: a function whose rights are wrong, or somebody who tries."
      steps = [
        "The mail says who and which method; the line in the bucket audit which key or secret.",
        "A function's or a service's account: compare with the last deployment, its rights are missing.",
        "A person, or an account that should not exist: take away its rights and look at all it did, by principalEmail.",
      ]
    }

    key_changed = {
      title    = "A key was disabled or is to be destroyed"
      severity = "CRITICAL"
      filter   = "log_id(\"cloudaudit.googleapis.com/activity\") AND protoPayload.serviceName=\"cloudkms.googleapis.com\" AND protoPayload.methodName=~\"(DestroyCryptoKeyVersion|UpdateCryptoKeyVersion)$\""
      means    = "Without its keys the platform reads nothing. A version that is to be destroyed can be saved until the day named in its state, and never after."
      steps = [
        "Was it the end of a planned rotation (`python -m ops rotate-keys`)? Then note it and stop here.",
        "If not: `gcloud kms keys versions restore`, then `… enable`, at once.",
        "Take away the rights of who did it, and look at all they did.",
      ]
    }

    access_changed = {
      title    = "Rights were changed"
      severity = "WARNING"
      filter   = "log_id(\"cloudaudit.googleapis.com/activity\") AND protoPayload.methodName=~\"(?i)setiam(policy|permissions)$\" AND NOT protoPayload.status.code>0"
      means    = "Somebody's rights in the project, or to a key, a bucket, a secret or a function, were changed. Deployments do it; people should not."
      steps = [
        "Was there a deployment, by its own account, at that time? Then compare with its plan.",
        "If not: the line has the bindings that were added or removed (policyDelta). Put them back by a deployment.",
        "Find out who and why. Rights that nobody approved are an incident.",
      ]
    }

    account_key_made = {
      title    = "A key of a service account was made"
      severity = "CRITICAL"
      filter   = "log_id(\"cloudaudit.googleapis.com/activity\") AND protoPayload.methodName=\"google.iam.admin.v1.CreateServiceAccountKey\""
      means    = "A key file gives its holder a function's rights, for as long as it exists and without a trace of who it is. We have none."
      steps = [
        "Delete it: `gcloud iam service-accounts keys list` and `… delete`.",
        "Look at all that the account did since, in the bucket audit.",
        "Ask who made it, and give them another way (impersonation, Workload Identity).",
      ]
    }

    token_made = {
      title    = "Somebody acts as a function"
      severity = "ERROR"
      filter   = "logName:\"/logs/cloudaudit.googleapis.com\" AND protoPayload.serviceName=\"iamcredentials.googleapis.com\" AND protoPayload.methodName=(\"GenerateAccessToken\" OR \"SignJwt\") AND resource.labels.email_id=(${local.functions_accounts})"
      means    = "A token was made for a function's account by somebody else. What is then read from Firestore is in no log: the functions' own reads are not logged twice."
      steps = [
        "The mail says who. Nobody has a reason outside of an incident.",
        "Take away their role on the account (roles/iam.serviceAccountTokenCreator). A token ends after an hour.",
        "Assume that they read what the function may read in that hour: begin a breach assessment (45 CFR 164.402).",
      ]
    }

    read_by_hand = {
      title    = "A person read or wrote records directly"
      severity = "WARNING"
      filter   = "logName:\"/logs/cloudaudit.googleapis.com\" AND protoPayload.authenticationInfo.principalEmail:\"@\" AND NOT protoPayload.authenticationInfo.principalEmail=~\"gserviceaccount[.]com$\" AND (protoPayload.methodName=~\"^google[.](firestore[.]v1[.]Firestore|datastore[.]v1[.]Datastore)[.]\" OR protoPayload.methodName=~\"FirestoreAdmin[.](ExportDocuments|ImportDocuments|RestoreDatabase|BulkDeleteDocuments)$\" OR protoPayload.methodName=~\"^storage[.]objects[.]\" OR protoPayload.methodName=~\"SecretManagerService[.]AccessSecretVersion$\" OR (protoPayload.serviceName=\"cloudkms.googleapis.com\" AND protoPayload.methodName=\"Decrypt\"))"
      means    = "A person's account, not a function, touched the database, a stored file, a secret or a patient's key. The commands of `python -m ops` do, and nothing else should."
      steps = [
        "Was a command of docs/operations.md run at that time, by that person? Then note it and stop here.",
        "If not: see in the bucket audit what they read.",
        "Take away their rights until it is explained.",
      ]
    }

    trail_changed = {
      title    = "The keeping of logs was changed"
      severity = "CRITICAL"
      filter   = "log_id(\"cloudaudit.googleapis.com/activity\") AND ((protoPayload.serviceName=\"logging.googleapis.com\" AND protoPayload.methodName=~\"((Update|Delete)(Sink|Bucket|BucketAsync|Exclusion|Settings|CmekSettings|LogMetric|Log)|CreateExclusion)$\") OR protoPayload.serviceData.policyDelta.auditConfigDeltas:*)"
      means    = "A sink, a log bucket, an exclusion, a log metric or the list of what is audited was changed or deleted. A deployment may; nobody else."
      steps = [
        "Was there a deployment with such a change? Then compare with its plan.",
        "If not: deploy again, which puts it back.",
        "Name the gap: which lines between which moments are missing; the events in Firestore are whole (`python -m ops verify-audit`).",
      ]
    }
  }
}

resource "google_monitoring_alert_policy" "metric" {
  for_each              = local.alarms
  display_name          = each.value.title
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = merge(local.labels, { alarm = each.key })

  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.key
      condition_prometheus_query_language {
        query               = conditions.value.query
        duration            = try(conditions.value.duration, "0s")
        evaluation_interval = "60s"
        # A metric of log lines exists minutes after it was made, some of Google's after their first value.
        disable_metric_validation = true
      }
    }
  }

  alert_strategy {
    auto_close = "86400s" # an incident whose data stopped coming is closed after a day
  }

  documentation {
    mime_type = "text/markdown"
    content   = join("\n\n", [each.value.means, join("\n", [for number, step in each.value.steps : "${number + 1}. ${step}"]), "Runbook: ${var.runbook}"])
  }

  lifecycle {
    precondition {
      # Nothing else would notice a misspelt metric: the policy would never fire.
      condition = alltrue([
        for name in flatten([for condition in values(each.value.conditions) : regexall("logging_googleapis_com:user_([a-z_]+)", condition.query)]) :
        contains(keys(local.metrics), trimsuffix(trimsuffix(trimsuffix(name, "_sum"), "_bucket"), "_count"))
      ])
      error_message = "The alarm ${each.key} asks for a metric that metrics.yaml does not list."
    }
  }

  depends_on = [google_logging_metric.this]
}

# Matched in the lines that a sink of this project puts into a bucket of it, the audit bucket's too.
resource "google_monitoring_alert_policy" "log" {
  for_each              = local.log_alarms
  display_name          = each.value.title
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = merge(local.labels, { alarm = each.key })

  conditions {
    display_name = each.value.title
    condition_matched_log {
      filter = each.value.filter
      label_extractors = {
        who    = "EXTRACT(protoPayload.authenticationInfo.principalEmail)"
        method = "EXTRACT(protoPayload.methodName)"
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = join("\n\n", [each.value.means, join("\n", [for number, step in each.value.steps : "${number + 1}. ${step}"]), "Runbook: ${var.runbook}"])
  }

  depends_on = [google_logging_project_sink.this]
}
