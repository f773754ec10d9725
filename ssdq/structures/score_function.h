#pragma once

namespace ssdq {

// What makes scores of the class logits of a default box: softmax over its classes, or the sigmoid
// of each class by itself, where the background's logit has no part.
enum class ScoreFunction { kSoftmax, kSigmoid };

}  // namespace ssdq
