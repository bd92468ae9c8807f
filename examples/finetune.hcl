# Train what was found: a search's subnet by the supernet's shared weights, fine-tuned from them, and trained alone for
# as many epochs in all; each in float32, quantised to int8 after training, and trained to bear that. The last takes
# Python with PyTorch, whose rounding passes Go's kernels do not have. Figures are in docs/torch.md.
#
#   bin/runner run examples/finetune.hcl

variable "data" {
  description = "Directory with Fashion-MNIST's four IDX files."
  type        = string
  default     = "../data/fashion-mnist"
}

variable "python" {
  description = "A Python that has PyTorch."
  type        = string
  default     = "python3"
}

variable "seeds" {
  description = "How many times everything that is random is done anew."
  type        = number
  default     = 3
}

variable "epochs" {
  description = "Passes over the training images: of the supernet, of what is fine-tuned from its weights, and of the last, short training."
  type        = object({ supernet = number, tuned = number, last = number })
  default     = { supernet = 2, tuned = 1, last = 0.25 }
}

variable "encoding" {
  description = "Weights in int8: \"uint8\" and \"int8\" are the same integers; \"int7\" is correct and fast on any processor, with steps twice as coarse."
  type        = string
  default     = "uint8"
}

variable "limit" {
  description = "Latency that the network may have."
  type        = string
  default     = "2ms"
}

variable "images" {
  description = "Test images to measure int8 on; 0 for all."
  type        = number
  default     = 0
}

locals {
  platform = { preset = "tinyraptor" }
  rate     = 0.1
  seeds    = { for s in range(var.seeds) : "seed ${s + 1}" => s + 1 }
  space = {
    backbone = {
      input = 1
      stem  = { channels = 16, kernel = 3, stride = 1 }
      groups = [
        { t = 1, c = 8, n = 1, s = 1 },
        { t = 6, c = 8, n = 2, s = 2 },
        { t = 6, c = 24, n = 2, s = 2 },
        { t = 6, c = 40, n = 1, s = 1 },
      ]
      head    = 192
      classes = 10
    }
    widths      = [1, 1, 1, 1, 1, 1]
    resolutions = [20, 24, 28]
    expansions  = [3, 4, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
}

stage "dataset" "fashion" {
  source = "fashion-mnist"
  path   = var.data
}

# What is found: the subnet with the most MACs under the limit.
stage "evolve" "found" {
  platform = local.platform
  space    = local.space
  limit    = { latency = var.limit }
  name     = "under ${var.limit}"
}

stage "train-supernet" "supernet" {
  for_each     = local.seeds
  dataset      = stage.fashion.dataset
  space        = local.space
  epochs       = var.epochs.supernet
  rate         = local.rate
  warmup       = 0.2
  subnets      = 1
  curve_images = 0
  seed         = each.value
}

stage "train-network" "tuned" {
  for_each     = local.seeds
  dataset      = stage.fashion.dataset
  network      = stage.found.network
  weights      = stage.supernet[each.key].weights
  epochs       = var.epochs.tuned
  rate         = local.rate / 3
  curve_images = 0
  seed         = each.value
}

stage "train-network" "alone" {
  for_each     = local.seeds
  dataset      = stage.fashion.dataset
  network      = stage.found.network
  epochs       = var.epochs.supernet + var.epochs.tuned
  rate         = local.rate
  warmup       = 0.2
  curve_images = 0
  seed         = each.value
}

# ---------------------------------------------------------------------------------------------------
# From each of the three a last, short training, with rounding and, to compare with, without.

locals {
  starts = {
    "shared weights" = { for s, seed in local.seeds : s => stage.supernet[s].weights }
    "fine-tuned"     = { for s, seed in local.seeds : s => stage.tuned[s].weights }
    "trained alone"  = { for s, seed in local.seeds : s => stage.alone[s].weights }
  }
  lasts = { "+ ${var.epochs.last} epochs" = null, "+ ${var.epochs.last} epochs, int8-aware" = var.encoding }
  runs = merge(flatten([for start, weights in local.starts : [for last, encoding in local.lasts : {
    for s, seed in local.seeds : "${start} ${last}, ${s}" => { weights = weights[s], encoding = encoding, seed = seed }
  }]])...)
}

stage "train-network" "last" {
  for_each     = local.runs
  dataset      = stage.fashion.dataset
  network      = stage.found.network
  weights      = each.value.weights
  quantise     = each.value.encoding
  epochs       = var.epochs.last
  rate         = local.rate / 10
  curve_images = 0
  seed         = each.value.seed
  backend      = "torch"
  torch        = { python = var.python }
  threads      = 1 # such small networks do not gain by more: steps run side by side
}

# ---------------------------------------------------------------------------------------------------
# Each of them in float32 and in int8, as an accelerator computes it.

locals {
  results = merge(
    merge([for start, weights in local.starts : { for s, w in weights : "${start}, ${s}" => w }]...),
    { for name, run in local.runs : name => stage.last[name].weights },
  )
  kinds = flatten([for start in ["shared weights", "fine-tuned", "trained alone"] : concat([start], [for last, encoding in local.lasts : "${start} ${last}"])])
}

stage "deploy-estimate" "measured" {
  for_each = local.results
  platform = local.platform
  network  = stage.found.network
  supernet = each.value
  dataset  = stage.fashion.dataset
  encoding = var.encoding
  images   = var.images
}

locals {
  measured = { for kind in local.kinds : kind => [for s, seed in local.seeds : stage.measured["${kind}, ${s}"].estimate] }
}

stage "table" "finetune" {
  title   = "One network under ${var.limit}: by shared weights, fine-tuned, trained alone"
  caption = "Top-1 on Fashion-MNIST's test images, mean and standard deviation over ${var.seeds} seeds. Supernet: ${var.epochs.supernet} epochs; fine-tuned: ${var.epochs.tuned} more; alone: as many in all. int8: weights as ${var.encoding}."
  rows = [for kind in local.kinds : {
    network = kind
    float   = mean(local.measured[kind][*].top1)
    spread  = var.seeds > 1 ? stddev(local.measured[kind][*].top1) : null
    int8    = mean(local.measured[kind][*].top1_int8)
    spread8 = var.seeds > 1 ? stddev(local.measured[kind][*].top1_int8) : null
    lost    = mean([for e in local.measured[kind] : e.top1 - e.top1_int8])
  }]
  columns = [
    { key = "network", title = "weights" },
    { key = "float", title = "top-1 (%)", group = "float32", scale = 100, format = "%.2f" },
    { key = "spread", title = "±", group = "float32", scale = 100, format = "%.2f" },
    { key = "int8", title = "top-1 (%)", group = "int8", scale = 100, format = "%.2f" },
    { key = "spread8", title = "±", group = "int8", scale = 100, format = "%.2f" },
    { key = "lost", title = "lost by int8", scale = 100, format = "%.2f" },
  ]
  provenance = "legend"
}

output "finetune" {
  description = "The network's accuracy by how it got its weights, in float32 and in int8."
  value       = stage.finetune.text
}

output "network" {
  description = "What was found."
  value       = stage.found.best
}
