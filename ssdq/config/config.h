#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ssdq/structures/size.h"

namespace ssdq {

// The whole configuration, a struct for each section; defaults are the members' initialisers.
// visit_fields (config/fields.h) names, documents and bounds each member; reading, overriding,
// checking, writing and docs/config.md all come from it. Keys and defaults follow lufficc/SSD and
// its pruning/quantization fork where those have them.

// Free-form settings of a registered component ("OPTIONS: {...}"), values as YAML text.
using Options = std::map<std::string, std::string>;

struct BackboneConfig {
  std::string name = "cfg_backbone";
  std::string cfg;      // path of the .cfg
  std::string weights;  // pre-trained backbone, used when `pretrained`
  bool pretrained = true;
  std::vector<int> out_channels;  // empty: inferred
};

struct PriorsConfig {
  std::vector<Size2> feature_maps;  // [h, w] or one number for both; empty: inferred
  std::vector<int> strides{8, 16, 32, 64, 100, 300};
  std::vector<std::vector<double>> min_sizes{
      {30}, {60}, {111}, {162}, {213}, {264}};  // px; a number or a list for each level
  std::vector<double> max_sizes{60, 111, 162, 213, 264, 315};
  std::vector<std::vector<double>> aspect_ratios{{2}, {2, 3}, {2, 3}, {2, 3}, {2}, {2}};
  std::vector<int> boxes_per_location{4, 6, 6, 6, 4, 4};
  bool clip = true;
};

struct BoxHeadConfig {
  std::string name = "SSDBoxHead";
  std::string predictor = "SSDBoxPredictor";
  std::string scores = "softmax";  // softmax, sigmoid: of the class logits
};

struct ModelConfig {
  std::string meta_architecture = "SSDDetector";
  std::string device = "auto";  // auto, cpu, cuda, cuda:N
  double threshold = 0.5;       // IoU for matching
  int num_classes = 21;         // background included
  double neg_pos_ratio = 3;
  double center_variance = 0.1;
  double size_variance = 0.2;
  bool fine_tune = false;
  std::string weights;  // checkpoint to start from; "." means none, as in the fork
  std::vector<std::string> allow_missing;  // globs: tensors that WEIGHTS may lack
  std::vector<std::string> reset;          // globs: tensors that are not taken from WEIGHTS
  BackboneConfig backbone;
  PriorsConfig priors;
  BoxHeadConfig box_head;
};

struct InputConfig {
  Size2 image_size{300, 300};                     // one number or [height, width]
  std::vector<double> pixel_mean{123, 117, 104};  // RGB, 0..255
  std::vector<double> pixel_std{1, 1, 1};
  int channels = 3;
};

// Switches of the SSD training augmentation; all on is the paper's.
struct AugmentationConfig {
  bool photometric = true;
  bool expand = true;
  double expand_ratio = 4;  // largest canvas, in image sides
  bool crop = true;
  bool mirror = true;
  bool flip_vertical = false;  // for images without an up, such as cells and aerial views
};

// A data set described in YAML alone (DATASETS.DEFINE: {name: {FORMAT: voc, ROOT: ..., SPLIT:
// ...}}).
struct DatasetDefinition {
  std::string format;  // voc, coco, txt
  std::string root;
  std::string split;        // voc: image set; txt: train or valid
  std::string annotations;  // coco: json; txt: .data file
  std::string images;       // coco, txt: image folder
  std::vector<std::string>
      classes;  // voc: class names in label order (label 1 first); empty: the 20 of VOC
};

struct DatasetsConfig {
  std::vector<std::string> train;
  std::vector<std::string> test;
  std::string bad_boxes = "clip";  // clip, drop, error: what training does with bad annotations
  std::map<std::string, DatasetDefinition> define;
};

struct DataLoaderConfig {
  int num_workers = 8;  // threads; 0 loads in the training thread; never more than the cores left
  bool pin_memory = true;
  int prefetch = 4;                    // batches ready ahead
  std::string epoch_end = "continue";  // continue, drop, pad: the batch that an epoch ends in
};

struct SolverConfig {
  std::string type = "sgd";  // sgd, adamw
  int64_t max_iter = 120000;
  std::string schedule = "multi_step";  // multi_step, cosine
  std::vector<int64_t> lr_steps{80000, 100000};
  double gamma = 0.1;
  int batch_size = 32;           // per rank
  int reference_world_size = 0;  // ranks that the other values are meant for; 0: any
  double lr = 1e-3;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  bool decay_norm = true;  // weight decay on batch-norm parameters
  bool decay_bias = true;  // weight decay on biases
  double warmup_factor = 1.0 / 3;
  int64_t warmup_iters = 500;
  double clip_gradients = 0;           // largest gradient norm; 0: no clipping
  double ema = 0;                      // decay of the averaged weights; 0: none
  bool bf16 = false;                   // autocast to bfloat16
  std::string channels_last = "auto";  // auto, on, off
  int64_t checkpoint_period = 2500;
  int keep_checkpoints = 3;
  int64_t log_period = 10;
};

struct TestConfig {
  double nms_threshold = 0.45;
  double confidence_threshold = 0.01;
  int max_per_class = -1;  // detections kept of one class after NMS; -1: no limit
  int max_per_image = 100;
  int candidates_per_class = 400;  // best scores that enter NMS; -1: all
  int batch_size = 10;
  bool bn_fuse = false;
  std::string metric = "auto";                     // auto, voc_area, voc_11point, coco
  int64_t eval_period = 0;                         // iterations; 0: only after training
  std::map<std::string, double> expected_results;  // metric -> least value
};

struct PruneConfig {
  std::string type = "none";
  double sr = 1e-3;
  std::string sr_schedule = "constant";  // constant, linear, cosine
  double sr_final = 0.01;                // at the end of linear and cosine, in SR
  int64_t sr_warmup_iters = 0;
  std::string penalty = "l1";  // l1, polarized, group
  double polarization = 1.2;
};

// A trained detector whose outputs are imitated.
struct DistillationConfig {
  std::string config_file;  // of the teacher; empty: none
  std::string weights;
  double logits = 1;  // weights of the losses
  double boxes = 1;
  double features = 0;
  double temperature = 2;
};

struct DistributedConfig {
  std::string backend = "auto";  // auto, nccl, gloo, mpi
  double timeout = 300;          // s
  double bucket_mb = 25;
  std::string gradient_dtype = "float32";  // float32, bfloat16
  bool sync_bn = true;
};

// From `iteration` on, no quantizer is narrower than this.
struct WidthStage {
  int64_t iteration = 0;
  int wbits = 32;
  int abits = 32;
};

inline bool operator==(const WidthStage& a, const WidthStage& b) {
  return a.iteration == b.iteration && a.wbits == b.wbits && a.abits == b.abits;
}

// What differs for the nodes that `match` names; what is not set stays as it is.
struct QuantizationRule {
  std::string match;  // glob (* and ?) on node names, or a kind as kind_name() gives
  std::optional<int> wbits, abits;
  std::optional<std::string> type;
  std::optional<Options> options;
  std::optional<bool> skip;  // true: stays in float; false: is quantized
};

inline bool operator==(const QuantizationRule& a, const QuantizationRule& b) {
  return a.match == b.match && a.wbits == b.wbits && a.abits == b.abits && a.type == b.type &&
         a.options == b.options && a.skip == b.skip;
}

struct QuantizationConfig {
  std::string type = "none";
  int wbits = 16;
  int abits = 16;
  int first_bits = 0;                  // of the first convolution; 0: as the others
  std::string final_layer = "false";   // FINAL: false, true, cls, box: the heads that are quantized
  int final_bits = 0;                  // of those heads; 0: as the others
  std::string layers = "auto";         // auto, marked, all
  std::string merge_inputs = "float";  // float, shared, separate: inputs of adds and concats
  std::vector<QuantizationRule> policy;  // later rules win
  int64_t start_iter = 0;                // until then ranges are only observed
  int64_t stop_observing_iter = -1;      // -1: never
  int64_t freeze_bn_iter = -1;           // -1: never
  std::vector<WidthStage> progressive;
  int calibration_batches = 8;
  int bn_reestimate_batches = 0;
  double lr_factor = 1;  // of steps, clips and offsets, relative to SOLVER.LR
  Options options;
};

struct Config {
  int version = 1;
  ModelConfig model;
  InputConfig input;
  AugmentationConfig augmentation;
  DatasetsConfig datasets;
  DataLoaderConfig data_loader;
  SolverConfig solver;
  TestConfig test;
  PruneConfig prune;
  DistillationConfig distillation;
  QuantizationConfig quantization;
  DistributedConfig distributed;
  std::string output_dir = "outputs";
  int64_t seed = 0;
  int num_threads = 0;  // LibTorch's; 0: cores minus data workers, at least 1
};

}  // namespace ssdq
