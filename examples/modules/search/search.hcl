# What the paper does for a data set: widths that fit the hardware, a supernet with them, and the best subnet under
# each of some limits.

variable "dataset" {
  description = "Output dataset of a stage dataset."
}

variable "platform" {
  description = "The hardware to search for, as stages take it."
}

variable "classes" {
  description = "How many classes the images are of."
  type        = number
}

variable "limits" {
  description = "Latencies, by the name of the search that keeps to it."
  type        = map(string)

  validation {
    condition     = length(var.limits) > 0
    error_message = "Without a limit, there is nothing to search for."
  }
}

variable "epochs" {
  description = "Passes over the training images."
  type        = number
  default     = 4
}

variable "seed" {
  description = "Of all random choices."
  type        = number
  default     = 1
}

locals {
  # MobileNetV2's shape at a laptop's scale.
  backbone = {
    input = 3
    stem  = { channels = 16, kernel = 3, stride = 2 }
    groups = [
      { t = 1, c = 8, n = 1, s = 1 },
      { t = 6, c = 16, n = 2, s = 1 },
      { t = 6, c = 24, n = 2, s = 2 },
      { t = 6, c = 32, n = 1, s = 2 },
    ]
    head    = 64
    classes = var.classes
  }
}

stage "progressive-grid" "widths" {
  platform    = var.platform
  backbone    = local.backbone
  resolutions = [32]
  min         = 0.5
  max         = 1.5
  step        = 0.5
}

stage "train-supernet" "supernet" {
  dataset = var.dataset
  space = {
    backbone    = local.backbone
    widths      = stage.widths.best.widths
    resolutions = [24, 32]
    expansions  = [3, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  epochs = var.epochs
  rate   = 0.1
  seed   = var.seed
}

stage "evolve" "found" {
  for_each = var.limits
  name     = "subnet under ${each.key}"
  supernet = stage.supernet.weights
  dataset  = var.dataset
  platform = var.platform
  limit    = { latency = each.value }
}

output "best" {
  description = "The best subnet under each limit."
  value       = { for name, search in stage.found : name => search.best }
}

output "weights" {
  description = "The supernet, for other searches."
  value       = stage.supernet.weights
}
