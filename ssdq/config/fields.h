#pragma once

#include "ssdq/config/config.h"
#include "ssdq/config/field.h"

namespace ssdq {

// visit_fields(visitor, config) calls visitor.field(KEY, member, description, rule = {}) for each
// value and visitor.section(KEY, member, description) for each nested struct. Reading, overriding,
// writing, checking and docs/config.md all come from here: a new key is a member and a line.

template <typename Visitor>
void visit_fields(Visitor& v, BackboneConfig& c) {
  v.field("NAME", c.name,
          "Registered backbone; `cfg_backbone` builds the network that CFG describes.");
  v.field("CFG", c.cfg,
          "Network description, looked for as given, beside the YAML, then in the installed share.",
          text(TextStyle::kPath));
  v.field("WEIGHTS", c.weights,
          "Pre-trained backbone, used when PRETRAINED; `.` or nothing means none.",
          text(TextStyle::kPath));
  v.field("PRETRAINED", c.pretrained, "Start from WEIGHTS.");
  v.field("OUT_CHANNELS", c.out_channels,
          "Channels of each feature map; empty: taken from the network.", at_least(1));
}

template <typename Visitor>
void visit_fields(Visitor& v, PriorsConfig& c) {
  v.field("FEATURE_MAPS", c.feature_maps,
          "Size of each feature map, a number or [height, width]; empty: taken from the network.",
          at_least(1));
  v.field("STRIDES", c.strides,
          "Pixels between default boxes at each level; 0: the image's side divided by the map's.",
          at_least(0));
  v.field("MIN_SIZES", c.min_sizes,
          "Side of the small square box of each level in pixels, a number or a list.", above(0));
  v.field("MAX_SIZES", c.max_sizes,
          "With MIN_SIZES, gives the large square box of each level, in pixels; 0: no such box.",
          at_least(0));
  v.field("ASPECT_RATIOS", c.aspect_ratios,
          "Ratios of the other boxes of each level; each adds a wide and a tall one.", above(0));
  v.field("BOXES_PER_LOCATION", c.boxes_per_location, "Boxes at each location of each level.",
          at_least(1));
  v.field("CLIP", c.clip, "Clamp centres and sizes of default boxes to the image.");
}

template <typename Visitor>
void visit_fields(Visitor& v, BoxHeadConfig& c) {
  v.field("NAME", c.name, "Registered box head.");
  v.field("PREDICTOR", c.predictor,
          "Registered predictor of the head: `SSDBoxPredictor`, `SSDLiteBoxPredictor`, "
          "`SSDLiteFullBoxPredictor`, `SSDLiteFoldedBoxPredictor`, `SSDLiteReluBoxPredictor`, "
          "`SeparableBoxPredictor` or `SeparableFullBoxPredictor`.");
  v.field("SCORES", c.scores,
          "What makes scores of the class logits: softmax over the classes, or the sigmoid of each "
          "(the background's is not used).",
          one_of({"softmax", "sigmoid"}));
}

template <typename Visitor>
void visit_fields(Visitor& v, ModelConfig& c) {
  v.field("META_ARCHITECTURE", c.meta_architecture, "Registered detector.");
  v.field("DEVICE", c.device, "Where to run: auto (a GPU if there is one), cpu, cuda, cuda:N.",
          text(TextStyle::kDevice));
  v.field("THRESHOLD", c.threshold, "IoU from which a default box is matched to an object.",
          between(0, 1));
  v.field("NUM_CLASSES", c.num_classes, "Classes, the background (label 0) included.", at_least(2));
  v.field("NEG_POS_RATIO", c.neg_pos_ratio, "Background boxes in the loss for each matched one.",
          at_least(0));
  v.field("CENTER_VARIANCE", c.center_variance, "Divisor of encoded box centres.", above(0));
  v.field("SIZE_VARIANCE", c.size_variance, "Divisor of encoded box sizes.", above(0));
  v.field("FINE_TUNE", c.fine_tune,
          "Refuse to train without WEIGHTS, which are then taken alone, at iteration 0.");
  v.field("WEIGHTS", c.weights, "Checkpoint to start from; `.` or nothing means none.",
          text(TextStyle::kPath));
  v.field("ALLOW_MISSING", c.allow_missing,
          "Globs on tensors that may be missing in WEIGHTS when training starts.");
  v.field("RESET", c.reset,
          "Globs on tensors that training starts at random, not from WEIGHTS: `[head.cls.*]` for "
          "other classes.");
  v.section("BACKBONE", c.backbone, "The network below the heads.");
  v.section("PRIORS", c.priors, "Default boxes; every list has an entry for each feature map.");
  v.section("BOX_HEAD", c.box_head, "What turns feature maps into scores and boxes.");
}

template <typename Visitor>
void visit_fields(Visitor& v, InputConfig& c) {
  v.field("IMAGE_SIZE", c.image_size,
          "Input of the network in pixels, a number or [height, width].", at_least(1));
  v.field("PIXEL_MEAN", c.pixel_mean, "Subtracted from each channel, RGB, 0 to 255.");
  v.field("PIXEL_STD", c.pixel_std, "Divides each channel after the mean is subtracted.", above(0));
  v.field("CHANNELS", c.channels, "Channels of the input.", at_least(1));
}

template <typename Visitor>
void visit_fields(Visitor& v, AugmentationConfig& c) {
  v.field("PHOTOMETRIC", c.photometric,
          "Distort brightness, contrast, saturation, hue and channel order.");
  v.field("EXPAND", c.expand, "Place the image on a larger canvas.");
  v.field("EXPAND_RATIO", c.expand_ratio, "Largest canvas in image sides.", at_least(1));
  v.field("CROP", c.crop, "Crop around objects with the IoU set of the SSD paper.");
  v.field("MIRROR", c.mirror, "Flip left and right.");
  v.field("FLIP_VERTICAL", c.flip_vertical, "Flip top and bottom, for images without an up.");
}

template <typename Visitor>
void visit_fields(Visitor& v, DatasetDefinition& c) {
  v.field("FORMAT", c.format, "Registered format: `voc`, `coco` or `txt`.", text(TextStyle::kName));
  v.field("ROOT", c.root, "Folder of the data set.");
  v.field("SPLIT", c.split, "voc: image set; txt: train or valid.");
  v.field("ANNOTATIONS", c.annotations, "coco: JSON file; txt: `.data` file.");
  v.field("IMAGES", c.images, "coco, txt: folder of the images.");
  v.field("CLASSES", c.classes,
          "voc: class names in label order, label 1 first; empty: the 20 of VOC.");
}

template <typename Visitor>
void visit_fields(Visitor& v, DatasetsConfig& c) {
  v.field("TRAIN", c.train, "Names of the data sets to train on.");
  v.field("TEST", c.test, "Names of the data sets to evaluate on.");
  v.field("BAD_BOXES", c.bad_boxes,
          "What training does with boxes that are degenerate or leave the image.",
          one_of({"clip", "drop", "error"}));
  v.field("DEFINE", c.define, "Data sets described here: a name, then the keys below.");
}

template <typename Visitor>
void visit_fields(Visitor& v, DataLoaderConfig& c) {
  v.field("NUM_WORKERS", c.num_workers,
          "Threads that load images, no more than the cores left; 0 loads in the training thread.",
          at_least(0));
  v.field("PIN_MEMORY", c.pin_memory, "Load into page-locked memory when training on a GPU.");
  v.field("PREFETCH", c.prefetch, "Batches ready ahead of training.", at_least(1));
  v.field("EPOCH_END", c.epoch_end,
          "The batch of all ranks that an epoch's last images do not fill: goes on with the next "
          "epoch's, is dropped, or is padded with the epoch's first images again.",
          one_of({"continue", "drop", "pad"}));
}

template <typename Visitor>
void visit_fields(Visitor& v, SolverConfig& c) {
  v.field("TYPE", c.type, "Optimizer.", one_of({"sgd", "adamw"}));
  v.field("MAX_ITER", c.max_iter, "Iterations of training.", at_least(0));
  v.field("SCHEDULE", c.schedule, "Course of the learning rate after the warm-up.",
          one_of({"multi_step", "cosine"}));
  v.field("LR_STEPS", c.lr_steps,
          "multi_step: iterations at which the learning rate is multiplied by GAMMA.", at_least(1));
  v.field("GAMMA", c.gamma, "multi_step: factor at each step.", above(0));
  v.field("BATCH_SIZE", c.batch_size, "Images in a batch of each process.", at_least(1));
  v.field("REFERENCE_WORLD_SIZE", c.reference_world_size,
          "Processes that the section is meant for: with N times as many, LR is N times as large "
          "and iterations are as many times fewer; 0: both stay.",
          at_least(0));
  v.field("LR", c.lr, "Learning rate after the warm-up.", above(0));
  v.field("MOMENTUM", c.momentum, "sgd: momentum.", from_up_to_below(0, 1));
  v.field("WEIGHT_DECAY", c.weight_decay, "Weight decay.", at_least(0));
  v.field("DECAY_NORM", c.decay_norm, "Weight decay on batch-norm parameters too.");
  v.field("DECAY_BIAS", c.decay_bias, "Weight decay on biases too.");
  v.field("WARMUP_FACTOR", c.warmup_factor, "Learning rate at iteration 0 as a fraction of LR.",
          between(0, 1));
  v.field("WARMUP_ITERS", c.warmup_iters, "Iterations of linear warm-up.", at_least(0));
  v.field("CLIP_GRADIENTS", c.clip_gradients, "Largest norm of the gradient; 0: no clipping.",
          at_least(0));
  v.field("EMA", c.ema, "Decay of the averaged weights; 0: none.", from_up_to_below(0, 1));
  v.field("BF16", c.bf16, "Autocast to bfloat16.");
  v.field("CHANNELS_LAST", c.channels_last, "Memory layout of the network: auto takes the faster.",
          one_of({"auto", "on", "off"}));
  v.field("CHECKPOINT_PERIOD", c.checkpoint_period,
          "Iterations between checkpoints; 0: only at the end.", at_least(0));
  v.field("KEEP_CHECKPOINTS", c.keep_checkpoints,
          "Latest checkpoints that are kept, beside the best.", at_least(1));
  v.field("LOG_PERIOD", c.log_period, "Iterations between status lines.", at_least(1));
}

template <typename Visitor>
void visit_fields(Visitor& v, TestConfig& c) {
  v.field("NMS_THRESHOLD", c.nms_threshold,
          "IoU above which the lower of two boxes of a class is dropped.", between(0, 1));
  v.field("CONFIDENCE_THRESHOLD", c.confidence_threshold, "Least score of a detection.",
          between(0, 1));
  v.field("MAX_PER_CLASS", c.max_per_class,
          "Detections kept of one class in an image; -1: no limit.", limit());
  v.field("MAX_PER_IMAGE", c.max_per_image, "Detections kept in an image; -1: no limit.", limit());
  v.field("CANDIDATES_PER_CLASS", c.candidates_per_class,
          "Best scores of a class that enter NMS; -1: all.", limit());
  v.field("BATCH_SIZE", c.batch_size, "Images in a batch of evaluation.", at_least(1));
  v.field("BN_FUSE", c.bn_fuse, "Fold batch norm into the convolutions before evaluation.");
  v.field("METRIC", c.metric, "Average precision to compute: auto follows the data set's format.",
          one_of({"auto", "voc_area", "voc_11point", "coco"}));
  v.field("EVAL_PERIOD", c.eval_period,
          "Iterations between evaluations during training; 0: only at the end.", at_least(0));
  v.field("EXPECTED_RESULTS", c.expected_results,
          "Least value of each metric, by name; less makes the command fail.");
}

template <typename Visitor>
void visit_fields(Visitor& v, PruneConfig& c) {
  v.field("TYPE", c.type, "Registered pruner, or none.", text(TextStyle::kTypeName));
  v.field("SR", c.sr, "Sparse rate: weight of the penalty on batch-norm scales.", at_least(0));
  v.field("SR_SCHEDULE", c.sr_schedule,
          "How SR goes on after its warm-up: constant, or falling to SR x SR_FINAL at MAX_ITER.",
          one_of({"constant", "linear", "cosine"}));
  v.field("SR_FINAL", c.sr_final, "Last SR of linear and cosine as a fraction of SR.",
          between(0, 1));
  v.field("SR_WARMUP_ITERS", c.sr_warmup_iters, "Iterations in which SR rises from 0.",
          at_least(0));
  v.field("PENALTY", c.penalty,
          "l1: the sum of magnitudes; polarized: small scales to zero, large ones together (Zhuang "
          "et al., 2020); group: the L2 norm of the scales that are removed together.",
          one_of({"l1", "polarized", "group"}));
  v.field("POLARIZATION", c.polarization,
          "Weight of the magnitudes in the polarized penalty: more of it makes more zeros.",
          between(0, 2));
}

template <typename Visitor>
void visit_fields(Visitor& v, DistillationConfig& c) {
  v.field("CONFIG_FILE", c.config_file,
          "Configuration of the teacher, with the same priors and classes; empty: none.",
          text(TextStyle::kPath));
  v.field("WEIGHTS", c.weights, "Checkpoint of the teacher; empty: its MODEL.WEIGHTS.",
          text(TextStyle::kPath));
  v.field("LOGITS", c.logits, "Weight of the loss between class scores.", at_least(0));
  v.field("BOXES", c.boxes, "Weight of the loss between boxes.", at_least(0));
  v.field("FEATURES", c.features, "Weight of the loss between attention maps of the features.",
          at_least(0));
  v.field("TEMPERATURE", c.temperature, "Divides the class logits of both.", above(0));
}

template <typename Visitor>
void visit_fields(Visitor& v, DistributedConfig& c) {
  v.field("BACKEND", c.backend, "auto: NCCL on GPUs, else Gloo.",
          one_of({"auto", "nccl", "gloo", "mpi"}));
  v.field("TIMEOUT", c.timeout, "Seconds that a rank waits for the others.", above(0));
  v.field("BUCKET_MB", c.bucket_mb,
          "Gradients that are reduced in one call, in MiB; on GPUs at most a quarter of all.",
          above(0));
  v.field("GRADIENT_DTYPE", c.gradient_dtype, "Type in which gradients travel.",
          one_of({"float32", "bfloat16"}));
  v.field("SYNC_BN", c.sync_bn, "Batch norm over the images of all ranks.");
}

template <typename Visitor>
void visit_fields(Visitor& v, QuantizationRule& c) {
  v.field("MATCH", c.match,
          "Node names, `*` and `?` standing for any letters and one (`backbone.3`, `head.cls.*`), "
          "or a kind: conv, depthwise, add, concat.");
  v.field("WBITS", c.wbits, "Weight code width in bits.", between(1, 32));
  v.field("ABITS", c.abits, "Activation code width in bits.", between(1, 32));
  v.field("TYPE", c.type, "Another registered quantizer for these nodes.",
          text(TextStyle::kTypeName));
  v.field("OPTIONS", c.options, "Settings of that quantizer, by name.");
  v.field("SKIP", c.skip,
          "true leaves the nodes in float, false quantizes them where they would stay in float.");
}

template <typename Visitor>
void visit_fields(Visitor& v, QuantizationConfig& c) {
  v.field("TYPE", c.type, "Registered quantizer, or none.", text(TextStyle::kTypeName));
  v.field("WBITS", c.wbits, "Weight code width in bits; bwn counts levels.", between(1, 32));
  v.field("ABITS", c.abits, "Activation code width in bits; bwn counts levels.", between(1, 32));
  v.field("FIRST_BITS", c.first_bits,
          "Both widths of the first convolution, which is then quantized unless its section says "
          "quantization=0; 0: as the others; 32: it stays in float.",
          between(0, 32));
  v.field("FINAL", c.final_layer, "Prediction heads to quantize: none, all, of classes, of boxes.",
          one_of({"false", "true", "cls", "box"}));
  v.field("FINAL_BITS", c.final_bits,
          "Both widths of the heads that FINAL names; 0: as the others; 32: they stay in float.",
          between(0, 32));
  v.field("LAYERS", c.layers,
          "Backbone convolutions to quantize: those marked with quantization=1 in the cfg, or all "
          "but those with quantization=0; auto: marked if the cfg marks any, else all.",
          one_of({"auto", "marked", "all"}));
  v.field("MERGE_INPUTS", c.merge_inputs,
          "Inputs of adds and concats: in float, quantized to ABITS by one quantizer of the node, "
          "or by one for each input.",
          one_of({"float", "shared", "separate"}));
  v.field("POLICY", c.policy,
          "Rules for nodes, a list of maps of the keys below. A later rule wins over an earlier "
          "one, key by key, and over all else here and in the cfg.");
  v.field("START_ITER", c.start_iter,
          "Iterations of float training, in which ranges are only observed.", at_least(0));
  v.field("STOP_OBSERVING_ITER", c.stop_observing_iter,
          "Iteration from which ranges stay as they are; -1: never.", iteration_or_never());
  v.field("FREEZE_BN_ITER", c.freeze_bn_iter,
          "Iteration from which batch-norm statistics stay as they are; -1: never.",
          iteration_or_never());
  v.field("PROGRESSIVE", c.progressive,
          "Widths that fall during training, a list of [iteration, wbits, abits]: from that "
          "iteration on no quantizer is narrower; the first entry holds from the start.");
  v.field("CALIBRATION_BATCHES", c.calibration_batches,
          "Training batches that set the ranges before the first step; 0: none.", at_least(0));
  v.field("BN_REESTIMATE_BATCHES", c.bn_reestimate_batches,
          "Training batches that estimate batch-norm statistics anew after training; 0: none.",
          at_least(0));
  v.field("LR_FACTOR", c.lr_factor,
          "Learning rate of learned steps, clips and offsets as a multiple of SOLVER.LR.",
          above(0));
  v.field("OPTIONS", c.options, "Settings of the quantizer, by name.");
}

template <typename Visitor>
void visit_fields(Visitor& v, Config& c) {
  v.field("VERSION", c.version, "Version of the configuration's keys.", between(1, 1));
  v.field("OUTPUT_DIR", c.output_dir, "Where checkpoints, logs and pictures go.");
  v.field("SEED", c.seed, "Seed of every random choice.", at_least(0));
  v.field("NUM_THREADS", c.num_threads,
          "Threads of LibTorch; 0: the cores that loading leaves, at least one.", at_least(0));
  v.section("MODEL", c.model, "The detector.");
  v.section("INPUT", c.input, "What enters the network.");
  v.section("AUGMENTATION", c.augmentation,
            "Random changes of the training images, as in the SSD paper.");
  v.section("DATASETS", c.datasets, "Data sets, by name.");
  v.section("DATA_LOADER", c.data_loader, "Reading of images ahead of training.");
  v.section("SOLVER", c.solver, "Training.");
  v.section("TEST", c.test, "Detection and evaluation.");
  v.section("PRUNE", c.prune, "Training for pruning.");
  v.section("DISTILLATION", c.distillation, "Imitation of a trained detector.");
  v.section("QUANTIZATION", c.quantization, "Quantization of weights and activations.");
  v.section("DISTRIBUTED", c.distributed, "Training and evaluation on several ranks.");
}

}  // namespace ssdq
