# The paper's own experiment: a supernet over table 2's widths trained on ImageNet, searched under latency limits
# on Raptor, what was found fine-tuned; figure 2 and table 3 with accuracies of our own. It takes GPUs for days: what
# it costs, and how to scale it down, is in docs/imagenet.md.
#
#   runner plan examples/imagenet.hcl --var data=/data/imagenet
#   runner run examples/imagenet.hcl --var data=/data/imagenet
#
# Everything below has the paper's values. Where the paper is silent, the comment says what was taken.

variable "data" {
  description = "Directory with ImageNet's train/CLASS/*.JPEG and val/CLASS/*.JPEG."
  type        = string
}

variable "side" {
  description = "Pixels of the shorter side to which all images are resized once, since small ones decode faster; 0 to read them where they lie."
  type        = number
  default     = 0
}

variable "classes" {
  description = "Classes of the data set."
  type        = number
  default     = 1000
}

variable "device" {
  description = "cuda, or cpu to try the recipe at a small scale."
  type        = string
  default     = "cuda"
}

variable "ranks" {
  description = "GPUs."
  type        = number
  default     = 4
}

variable "precision" {
  description = "float32, or bfloat16, which is faster on GPUs that have it."
  type        = string
  default     = "bfloat16"
}

variable "python" {
  description = "The interpreter that has PyTorch."
  type        = string
  default     = "python3"
}

variable "epochs" {
  description = "Passes over the training images for the supernet."
  type        = number
  default     = 450
}

variable "tuning" {
  description = "Passes over the training images for each network that is fine-tuned."
  type        = number
  default     = 25
}

variable "batch" {
  description = "Images of a step. The paper says 64, which is taken to be for each of its four GPUs."
  type        = number
  default     = 256
}

variable "resolutions" {
  description = "Input sizes, in pixels."
  type        = list(number)
  default     = [128, 160, 192, 224]
}

variable "limits" {
  description = "Latencies on Raptor under which networks are sought, in ms."
  type        = list(number)
  default     = [30, 40, 50, 60, 70, 80, 90]
}

variable "iterations" {
  description = "Iterations of each search."
  type        = number
  default     = 500
}

variable "calibration" {
  description = "Training images from which batch normalisation is estimated."
  type        = number
  default     = 2000
}

variable "checkpoint" {
  description = "Seconds between the checkpoints of a training."
  type        = number
  default     = 300
}

variable "seed" {
  description = "Of all random choices."
  type        = number
  default     = 1
}

locals {
  torch = { device = var.device, ranks = var.ranks, precision = var.precision, python = var.python }
  gpus  = var.device == "cuda" ? var.ranks : 0
  one   = merge(local.torch, { ranks = 1 }) # to measure a subnet takes one GPU
  names = { for ms in var.limits : "${ms}ms" => "${ms}ms" }
}

# ---------------------------------------------------------------------------------------------------
# The hardware, as in paper.hcl: what the paper measured fits the values that it does not disclose.

stage "calibrate" "raptor" {
  platform = {
    name  = "tinyraptor"
    clock = "200MHz"
    pes   = 128
    power = "10.22mW" # energy / latency in table 3
  }
  measurements = "${path.recipe}/raptor.csv"
  seed         = var.seed
}

# ---------------------------------------------------------------------------------------------------
# The images stay where they are; only their digests are kept, and checked when one is read.

stage "dataset" "imagenet" {
  source  = "imagefolder"
  name    = "imagenet"
  path    = var.data
  keep    = var.side == 0 ? "reference" : "copy"
  prepare = var.side == 0 ? null : { side = var.side }
  corrupt = "skip" # a few of ImageNet's files are no sound JPEG
}

# ---------------------------------------------------------------------------------------------------
# The supernet: the space of section 2.5 over the widths of table 2, trained as section 3.1 says.

stage "train-supernet" "supernet" {
  dataset = stage.imagenet.dataset
  space = {
    backbone = {
      input = 3
      stem  = { channels = 32, kernel = 3, stride = 2 }
      groups = [
        { t = 1, c = 16, n = 1, s = 1 },
        { t = 6, c = 24, n = 2, s = 2 },
        { t = 6, c = 32, n = 3, s = 2 },
        { t = 6, c = 64, n = 4, s = 2 },
        { t = 6, c = 96, n = 3, s = 1 },
        { t = 6, c = 160, n = 3, s = 2 },
        { t = 6, c = 320, n = 1, s = 1 },
      ]
      head    = 1280
      classes = var.classes
    }
    widths      = [0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6]
    resolutions = var.resolutions
    expansions  = [3, 4, 6]
    depths      = [2, 3, 4]
    kernels     = [3, 5]
  }
  epochs           = var.epochs
  batch            = var.batch
  rate             = 0.03
  momentum         = 0.9
  weight_decay     = 3e-5
  augment          = { crop = 0.08, flip = true, jitter = 0.1 } # Once-for-All's, as the paper is silent
  calibration      = var.calibration
  seed             = var.seed
  backend          = "torch"
  torch            = local.torch
  checkpoint_every = var.checkpoint
  resources { gpus = local.gpus }
}

# ---------------------------------------------------------------------------------------------------
# The search, under each limit: the most MACs, as the paper has it; what is found is measured with the supernet's weights.

stage "evolve" "found" {
  for_each    = local.names
  name        = "under ${each.key}"
  supernet    = stage.supernet.weights
  dataset     = stage.imagenet.dataset
  platform    = stage.raptor.platform
  plausible   = stage.raptor.plausible
  limit       = { latency = each.value }
  iterations  = var.iterations
  calibration = var.calibration
  seed        = var.seed
  backend     = "torch"
  torch       = local.one
  resources { gpus = min(1, local.gpus) }
}

# The finalists, each alone, from the weights that it shares.
stage "train-network" "tuned" {
  for_each         = local.names
  network          = stage.found[each.key].network
  weights          = stage.supernet.weights
  dataset          = stage.imagenet.dataset
  epochs           = var.tuning
  batch            = var.batch
  rate             = 0.003
  augment          = { crop = 0.25, flip = true }
  calibration      = var.calibration
  seed             = var.seed
  backend          = "torch"
  torch            = local.torch
  checkpoint_every = var.checkpoint
  resources { gpus = local.gpus }
}

stage "deploy-estimate" "deployed" {
  for_each    = local.names
  platform    = stage.raptor.platform
  plausible   = stage.raptor.plausible
  network     = stage.tuned[each.key].network
  supernet    = stage.tuned[each.key].weights
  dataset     = stage.imagenet.dataset
  calibration = var.calibration
  backend     = "torch"
  torch       = local.one
  resources { gpus = min(1, local.gpus) }
}

# ---------------------------------------------------------------------------------------------------
# Table 3 and figure 2.

locals {
  published = {
    "0.5@128"  = { width = 0.5, resolution = 128, top1 = 0.577 }
    "0.5@160"  = { width = 0.5, resolution = 160, top1 = 0.610 }
    "0.5@192"  = { width = 0.5, resolution = 192, top1 = 0.639 }
    "0.35@128" = { width = 0.35, resolution = 128, top1 = 0.508 }
    "0.35@160" = { width = 0.35, resolution = 160, top1 = 0.557 }
    "0.35@192" = { width = 0.35, resolution = 192, top1 = 0.582 }
  }
  paper = [for row in csvdecode(file("table3.csv")) : {
    network = "${row.network}, the paper's"
    latency = published(tonumber(row.latency), "paper, table 3")
    energy  = published(tonumber(row.energy), "paper, table 3")
    mu      = row.mu == "" ? null : published(tonumber(row.mu), "paper, table 3")
    # The paper evaluates its subnets with the supernet's weights; the others were trained alone.
    shared = can(regex("RaptorNet", row.network)) ? published(tonumber(row.top1), "paper, table 3") : null
    top1   = can(regex("RaptorNet", row.network)) ? null : published(tonumber(row.top1), "paper, table 3")
  }]
  rows = [for name in keys(local.names) : {
    network  = "ours, ${stage.found[name].best.name}"
    latency  = stage.deployed[name].estimate.latency
    interval = stage.deployed[name].estimate.latency_interval
    energy   = stage.deployed[name].estimate.energy
    mu       = stage.deployed[name].estimate.mu
    macs     = stage.deployed[name].estimate.macs
    shared   = stage.found[name].best.top1
    top1     = stage.deployed[name].estimate.top1
    int8     = stage.deployed[name].estimate.top1_int8
  }]
}

stage "deploy-estimate" "scaled" {
  for_each  = local.published
  platform  = stage.raptor.platform
  plausible = stage.raptor.plausible
  network   = { width = each.value.width, resolution = each.value.resolution }
}

stage "table" "table3" {
  title = "Table 3: on Raptor at 200 MHz"
  rows  = concat(local.paper, local.rows)
  columns = [
    { key = "network" },
    { key = "latency", unit = "ms", scale = 1000, format = "%.1f", interval = "interval" },
    { key = "energy", unit = "µJ", scale = 1e6, format = "%.0f" },
    { key = "mu", title = "μ", format = "%.3f" },
    { key = "macs", title = "MACs (M)", scale = 1e-6, format = "%.1f" },
    { key = "shared", title = "shared weights", group = "top-1 (%)", scale = 100, format = "%.1f" },
    { key = "top1", title = "trained alone or fine-tuned", group = "top-1 (%)", scale = 100, format = "%.1f" },
    { key = "int8", title = "in int8", group = "top-1 (%)", scale = 100, format = "%.1f" },
  ]
  footnotes  = ["The paper evaluates its subnets with the supernet's weights; MobileNetV2 and MCUNet were trained by themselves."]
  provenance = "legend"
}

stage "plot" "figure2" {
  title  = "Figure 2: top-1 over latency on Raptor"
  height = 100
  x      = { title = "latency", unit = "ms", scale = 1000, min = 0 }
  y      = { title = "top-1", unit = "%", scale = 100 }
  series = concat(
    [
      { name = "ours, fine-tuned", mark = "line", rows = local.rows, x = "latency", y = "top1", x_interval = "interval" },
      { name = "ours, shared weights", mark = "line", rows = local.rows, x = "latency", y = "shared" },
      { name = "the paper's RaptorNet", rows = [for row in local.paper : row if can(regex("RaptorNet", row.network))], x = "latency", y = "shared" },
    ],
    [for w in [0.5, 0.35] : {
      name = "MobileNetV2 ${w}, as published"
      mark = "line"
      rows = [for k, net in local.published : {
        name     = "R ${net.resolution}"
        latency  = stage.scaled[k].estimate.latency
        interval = stage.scaled[k].estimate.latency_interval
        top1     = published(net.top1, "tensorflow/models, slim: MobileNetV2")
      } if net.width == w]
      x          = "latency"
      y          = "top1"
      x_interval = "interval"
      label      = "name"
    }],
  )
}

stage "report" "page" {
  title = "RaptorNet on ImageNet"
  text  = "Accuracies of ours are measured on the validation images; those of the paper and of MobileNetV2 are published."
  sections = [
    { title = "On Raptor", tables = [stage.table3.html], figures = [stage.figure2.svg] },
    { title = "The supernet's training", figures = [stage.supernet.curve_plot] },
  ]
  recipe = path.file
}

output "table3" { value = stage.table3.text }
output "figure2" { value = stage.figure2.svg }
output "page" { value = stage.page.html }
output "idle" { value = stage.supernet.torch.idle }
