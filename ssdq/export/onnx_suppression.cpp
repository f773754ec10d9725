#include "ssdq/export/onnx_suppression.h"

#include <utility>
#include <vector>

namespace ssdq {
namespace {

// Names all it adds "detect/...".
class SuppressionWriter {
 public:
  SuppressionWriter(OnnxBuilder& onnx, const OnnxSuppression& how) : onnx_(onnx), how_(how) {}

  std::string run(const std::string& scores, const std::string& boxes) {
    const auto foreground = slice("foreground", scores, 1, how_.num_classes, 2);
    const auto by_class =
        add("Transpose", "by_class", {foreground}, {OnnxAttribute::integers("perm", {0, 2, 1})});
    const auto selected = suppress(candidates(by_class), boxes);
    const auto rows = gather(selected, by_class, boxes);
    return limited(rows);
  }

 private:
  std::string add(const std::string& op_type, const std::string& name,
                  std::vector<std::string> inputs, std::vector<OnnxAttribute> attributes = {}) {
    return onnx_.node(op_type, "detect/" + name, std::move(inputs), std::move(attributes));
  }

  std::string number(const std::string& name, int64_t value) {
    return onnx_.int64s("detect/" + name, {1}, {value});
  }

  std::string slice(const std::string& name, const std::string& x, int64_t begin, int64_t end,
                    int64_t axis) {
    return add("Slice", name,
               {x, number(name + "/begin", begin), number(name + "/end", end),
                number(name + "/axis", axis)});
  }

  // Columns of a matrix.
  std::string columns(const std::string& name, const std::string& x,
                      const std::vector<int64_t>& which) {
    const auto indices =
        onnx_.int64s("detect/" + name + "/columns", {static_cast<int64_t>(which.size())}, which);
    return add("Gather", name, {x, indices}, {OnnxAttribute::integer("axis", 1)});
  }

  // Scores [N, C - 1, P] with zeros in place of those that are not among the best of their class.
  std::string candidates(const std::string& scores) {
    const int64_t most = how_.test.candidates_per_class;
    if (most < 1 || most >= how_.num_priors) {
      return scores;
    }
    onnx_.node_of("TopK", {"detect/best", "detect/best_indices"},
                  {scores, number("candidates", most)}, {OnnxAttribute::integer("axis", 2)});
    const auto least = slice("least", "detect/best", most - 1, most, 2);
    const auto below = add("Less", "below", {scores, least});
    return add("Where", "candidate_scores", {below, onnx_.scalar("detect/zero", 0), scores});
  }

  // [M, 3] of (image, class - 1, prior).
  std::string suppress(const std::string& scores, const std::string& boxes) {
    const TestConfig& test = how_.test;
    const bool none = test.candidates_per_class == 0;
    const int64_t most = none                     ? 0
                         : test.max_per_class < 0 ? how_.num_priors
                                                  : int64_t{test.max_per_class};
    return add("NonMaxSuppression", "selected",
               {boxes, scores, number("max_per_class", most),
                onnx_.floats("detect/nms_threshold", {1}, {static_cast<float>(test.nms_threshold)}),
                onnx_.floats("detect/confidence_threshold", {1},
                             {static_cast<float>(test.confidence_threshold)})});
  }

  // Rows (image, class, score, x1, y1, x2, y2).
  std::string gather(const std::string& selected, const std::string& scores,
                     const std::string& boxes) {
    const std::vector<OnnxAttribute> to_float = {
        OnnxAttribute::integer("to", static_cast<int64_t>(OnnxType::kFloat))};
    const auto image = add("Cast", "image", {columns("image_index", selected, {0})}, to_float);
    const auto index =
        add("Cast", "class_index", {columns("class_column", selected, {1})}, to_float);
    const auto label = add("Add", "class", {index, onnx_.scalar("detect/one", 1)});
    const auto column = onnx_.int64s("detect/column", {2}, {-1, 1});
    const auto score =
        add("Reshape", "score", {add("GatherND", "score_list", {scores, selected}), column});
    const auto place = columns("place", selected, {0, 2});
    const auto box = add("GatherND", "unclipped", {boxes, place});
    const auto clipped =
        add("Clip", "box",
            {box, onnx_.scalar("detect/least_edge", 0), onnx_.scalar("detect/greatest_edge", 1)});
    return add("Concat", "rows", {image, label, score, clipped},
               {OnnxAttribute::integer("axis", 1)});
  }

  // Rows by falling score, so many of each image.
  std::string limited(const std::string& rows) {
    const auto flat = onnx_.int64s("detect/flat", {1}, {-1});
    const auto scores = add("Reshape", "row_scores", {columns("score_column", rows, {2}), flat});
    const auto count = add("Shape", "count", {scores});
    onnx_.node_of("TopK", {"detect/sorted_scores", "detect/order"}, {scores, count},
                  {OnnxAttribute::integer("axis", 0)});
    const int most = how_.test.max_per_image;
    const std::string result = "detections";
    const std::vector<OnnxAttribute> by_row = {OnnxAttribute::integer("axis", 0)};
    if (most < 0) {
      return onnx_.node("Gather", result, {rows, "detect/order"}, by_row);
    }
    const auto sorted = add("Gather", "sorted", {rows, "detect/order"}, by_row);
    if (how_.batch == OnnxDim(int64_t{1})) {
      return onnx_.node(
          "Slice", result,
          {sorted, number("first", 0), number("max_per_image", most), number("row_axis", 0)});
    }
    return onnx_.node("Compress", result, {sorted, within(sorted, most)}, by_row);
  }

  // Whether a row is among the first `most` of its image.
  std::string within(const std::string& rows, int most) {
    const auto image = add("Cast", "row_image", {columns("image_column", rows, {0})},
                           {OnnxAttribute::integer("to", static_cast<int64_t>(OnnxType::kInt64))});
    const auto flat_image = add("Reshape", "row_images", {image, "detect/flat"});
    const auto all = slice("num_images", add("Shape", "scores_shape", {"scores"}), 0, 1, 0);
    const auto off_on = onnx_.floats("detect/off_on", {2}, {0, 1});
    const auto of_image = add("OneHot", "of_image", {flat_image, all, off_on});
    const auto running = add("CumSum", "running", {of_image, number("rows_axis", 0)});
    const auto rank =
        add("GatherElements", "rank", {running, image}, {OnnxAttribute::integer("axis", 1)});
    const auto flat_rank = add("Reshape", "ranks", {rank, "detect/flat"});
    return add("Less", "within", {flat_rank, onnx_.scalar("detect/max_rank", most + 0.5)});
  }

  OnnxBuilder& onnx_;
  const OnnxSuppression& how_;
};

}  // namespace

std::string add_suppression(OnnxBuilder& onnx, const std::string& scores, const std::string& boxes,
                            const OnnxSuppression& how) {
  return SuppressionWriter(onnx, how).run(scores, boxes);
}

}  // namespace ssdq
