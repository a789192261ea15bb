#include "plan/aws.h"

#include "base/catalog.h"

#include "plan/cost.h"

#include <stdio.h>

static double gib(uint64_t bytes)
{
    return (double)bytes / (double)PLAN_GIB;
}

static struct aws_place place(const char *name, const char *idle)
{
    return (struct aws_place){
        .name = name, .idle = idle, .usd_month = NAN, .region = "", .verdict = AWS_UNKNOWN};
}

/* A place whose memory is limited to `most` GiB. */
static struct aws_place limited(const char *name, const char *idle, double most, uint64_t need)
{
    struct aws_place a = place(name, idle);
    if (isnan(most)) {
        snprintf(a.why, sizeof a.why, _("its most memory is not in the snapshot"));
        return a;
    }
    a.verdict = gib(need) <= most ? AWS_YES : AWS_NO;
    snprintf(a.why, sizeof a.why, _("at most %.4g GiB of memory, %.1f needed"), most, gib(need));
    return a;
}

static struct aws_place realtime(const struct prices *p)
{
    struct aws_place a = place("SageMaker real-time", _("an instance runs"));
    double download = prices_limit(p, "aws.sagemaker.realtime.model_download_timeout_max_s");
    double start = prices_limit(p, "aws.sagemaker.realtime.container_startup_timeout_max_s");
    if (isnan(download) || isnan(start)) {
        snprintf(a.why, sizeof a.why, _("its limits are not in the snapshot"));
        return a;
    }
    a.verdict = AWS_YES;
    snprintf(a.why, sizeof a.why, _("download of the model at most %g s, start of the container %g s"),
             download, start);
    return a;
}

static struct aws_place fargate(const struct prices *p)
{
    struct aws_place a = place("Fargate", _("a task runs"));
    double vcpu = prices_limit(p, "aws.fargate.max_vcpu");
    if (isnan(vcpu))
        snprintf(a.why, sizeof a.why, _("its limits are not in the snapshot"));
    else
        snprintf(a.why, sizeof a.why, _("at most %g vCPU; its most memory is not in the snapshot"), vcpu);
    return a;
}

static double app_runner_gib(const struct prices *p)
{
    double vcpu, gb;
    const char *most = prices_limit_text(p, "aws.apprunner.max"); /* "4 vCPU / 12 GB" */
    return sscanf(most, "%lf vCPU / %lf GB", &vcpu, &gb) == 2 ? gb : NAN;
}

/* A machine with one GPU. Memory of the GPU: its maker's data sheet. */
static struct aws_place machine(const struct prices *p, const char *name, const char *gpu, int vram_gb,
                                uint64_t need)
{
    const struct price *price = prices_find(p, "aws.ec2.%s.us-east-1", name);
    struct aws_place a = place(name, _("a machine runs"));
    a.verdict = need <= cost_gpu_usable(vram_gb) ? AWS_YES : AWS_NO;
    a.usd_month = price->value * PLAN_MONTH_HOURS;
    a.region = price->region;
    snprintf(a.why, sizeof a.why, _("%s: about %.1f GiB usable, %.1f needed"), gpu,
             gib(cost_gpu_usable(vram_gb)), gib(need));
    return a;
}

void aws_places(struct aws_place out[AWS_PLACES], const struct prices *p, uint64_t cpu_bytes,
                uint64_t gpu_bytes)
{
    const char *zero = _("scales to zero");
    double lambda = prices_limit(p, "aws.lambda.memory_max_mb") / 1024;
    double serverless = prices_limit(p, "aws.sagemaker.serverless.memory_max_mb") / 1024;
    out[0] = limited("Lambda", zero, lambda, cpu_bytes);
    out[1] = limited("SageMaker serverless", zero, serverless, cpu_bytes);
    out[2] = limited("App Runner", _("an instance is kept"), app_runner_gib(p), cpu_bytes);
    out[3] = realtime(p);
    out[4] = fargate(p);
    out[5] = machine(p, "g4dn.xlarge", "T4", 16, gpu_bytes);
    out[6] = machine(p, "g6.xlarge", "L4", 24, gpu_bytes);
    out[7] = machine(p, "g5.xlarge", "A10G", 24, gpu_bytes);
}
