#include "doctor/check/permissions.h"

/* https://cloud.google.com/iam/docs/roles-permissions */
const struct permission permissions_of_project[] = {
    {"run.services.create", "roles/run.admin", "ferry deploy"},
    {"run.services.update", "roles/run.admin", "ferry deploy"},
    {"run.services.setIamPolicy", "roles/run.admin", "ferry deploy"},
    {"run.jobs.run", "roles/run.admin", "ferry stage --via job"},
    {"artifactregistry.repositories.create", "roles/artifactregistry.admin", "ferry deploy"},
    {"artifactregistry.repositories.uploadArtifacts", "roles/artifactregistry.admin", "ferry image push"},
    {"storage.buckets.create", "roles/storage.admin", "ferry bucket create"},
    {"storage.buckets.update", "roles/storage.admin", "ferry bucket fix"},
    {"iam.serviceAccounts.create", "roles/iam.serviceAccountAdmin", "ferry deploy"},
    {"serviceusage.services.enable", "roles/serviceusage.serviceUsageAdmin", "ferry doctor --fix"},
    {"logging.logEntries.list", "roles/logging.viewer", "ferry logs"},
    {0},
};

const struct permission permissions_of_bucket[] = {
    {"storage.objects.list", "roles/storage.objectUser", "ferry ls"},
    {"storage.objects.get", "roles/storage.objectUser", "ferry cp"},
    {"storage.objects.create", "roles/storage.objectUser", "ferry stage"},
    {"storage.objects.delete", "roles/storage.objectUser", "ferry rm"},
    {0},
};
