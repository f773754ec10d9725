#include "ssdq/graph/svg.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ssdq/graph/describe.h"
#include "ssdq/utils/strings.h"

namespace ssdq {
namespace {

constexpr int kBoxWidth = 218, kBoxHeight = 40;
constexpr int kLanePitch = 248, kRowPitch = 68;
constexpr int kLeft = 90, kTop = 96;  // room for skipping edges; for title and legend

struct Style {
  const char* kind;
  const char* fill;
};

constexpr std::array<Style, 9> kStyles = {{{"input", "#eeeeee"},
                                           {"conv", "#bcd7f0"},
                                           {"depthwise", "#c9e8d1"},
                                           {"max_pool", "#f6d5c3"},
                                           {"avg_pool", "#f6e3c3"},
                                           {"add", "#f3c9d8"},
                                           {"concat", "#dccdf0"},
                                           {"upsample", "#cdeaf0"},
                                           {"squeeze_excite", "#eef0b4"}}};
constexpr const char* kOtherFill = "#e4dccb";
constexpr const char* kHeadFill = "#ffe9a8";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c == '<'   ? "&lt;"
              : c == '>' ? "&gt;"
              : c == '&' ? "&amp;"
              : c == '"' ? "&quot;"
                         : std::string(1, c);
  }
  return result;
}

bool is_drawn(const Node& node) { return !std::holds_alternative<Output>(node.op); }
bool is_head(const Node& node) { return starts_with(node.name, "head."); }

std::string fill(const Node& node) {
  if (is_head(node)) return kHeadFill;
  const std::string kind = kind_name(node.op);
  for (const Style& style : kStyles) {
    if (kind == style.kind) return style.fill;
  }
  return kOtherFill;
}

struct Place {
  int row = 0, lane = 0;

  int x() const { return kLeft + lane * kLanePitch; }
  int y() const { return kTop + row * kRowPitch; }
  int middle() const { return x() + kBoxWidth / 2; }
};

// Rows by distance from the input. The first reader of a node goes on in its lane; others, and
// heads, take the next free one to the right. Heads are placed last.
class Layout {
 public:
  explicit Layout(const Graph& graph)
      : graph_(graph), places_(graph.nodes.size()), readers_(graph.nodes.size(), 0) {
    for (const Node& node : graph.nodes) {
      for (const NodeId input : node.inputs) readers_[input] += in_same_part(input, node) ? 1 : 0;
    }
    for (const bool heads : {false, true}) {
      first_lane_ = heads ? last_lane_ + 1 : 0;
      for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
        const Node& node = graph.nodes[i];
        if (is_drawn(node) && is_head(node) == heads) put(static_cast<NodeId>(i), places_[i]);
      }
    }
  }

  const Place& of(NodeId id) const { return places_[id]; }
  int rows() const { return last_row_ + 1; }
  int lanes() const { return last_lane_ + 1; }

 private:
  bool in_same_part(NodeId input, const Node& node) const {
    return is_drawn(node) && is_head(graph_.nodes[input]) == is_head(node);
  }

  void put(NodeId id, Place& place) {
    const Node& node = graph_.nodes[id];
    place.lane = first_lane_;
    for (const NodeId input : node.inputs) {
      place.row = std::max(place.row, places_[input].row + 1);
    }
    NodeId source = -1;  // whose lane goes on here: of several, the leftmost
    for (const NodeId input : node.inputs) {
      const bool is_free = in_same_part(input, node) && handed_on_.count(input) == 0;
      if (is_free && (source < 0 || places_[input].lane < places_[source].lane)) source = input;
    }
    // Where others go on, a node that nothing but heads read steps aside.
    const bool aside = source >= 0 && readers_[id] == 0 && readers_[source] > 1;
    if (aside) {
      place.lane = places_[source].lane + 1;
    } else if (source >= 0) {
      handed_on_.insert(source);
      place.lane = places_[source].lane;
    }
    while (!taken_.insert({place.row, place.lane}).second) ++place.lane;
    last_row_ = std::max(last_row_, place.row);
    last_lane_ = std::max(last_lane_, place.lane);
  }

  const Graph& graph_;
  std::vector<Place> places_;
  std::vector<int> readers_;  // of the same part, the backbone or the heads
  std::set<std::pair<int, int>> taken_;
  std::set<NodeId> handed_on_;
  int first_lane_ = 0, last_row_ = 0, last_lane_ = 0;
};

// Neighbouring rows: through the gap between them. In a lane: around the boxes on its left. Else
// along the lane that is further right.
std::string edge_path(const Place& from, const Place& to) {
  const int bottom = from.y() + kBoxHeight;
  const int y1 = from.y() + kBoxHeight / 2, y2 = to.y() + kBoxHeight / 2;
  if (to.row == from.row + 1) {
    const int bend = (to.y() - bottom) / 2;
    return fmt::format("M{} {}C{} {} {} {} {} {}", from.middle(), bottom, from.middle(),
                       bottom + bend, to.middle(), to.y() - bend, to.middle(), to.y());
  }
  if (to.lane == from.lane) {
    const int most = to.lane == 0 ? 74 : 36;
    const int x = from.x() - std::min(most, 26 + 6 * (to.row - from.row));
    return fmt::format("M{} {}C{} {} {} {} {} {}", from.x(), y1, x, y1, x, y2, to.x(), y2);
  }
  if (to.lane < from.lane) {
    return fmt::format("M{} {}C{} {} {} {} {} {}", from.middle(), bottom, from.middle(), y2,
                       from.middle(), y2, to.x() + kBoxWidth, y2);
  }
  return fmt::format("M{} {}C{} {} {} {} {} {}", from.x() + kBoxWidth, y1, to.middle(), y1,
                     to.middle(), y1, to.middle(), to.y());
}

std::string edge(const Place& from, const Place& to) {
  return fmt::format("<path d=\"{}\" class=\"edge\" marker-end=\"url(#arrow)\"/>\n",
                     edge_path(from, to));
}

std::string tooltip(const NodeCost& cost, const Node& node) {
  std::string text = fmt::format("{}\n{}\noutput {}\n{} parameters, {} MACs", node.name,
                                 describe(node.op), to_string(cost.output), cost.params, cost.macs);
  if (cost.widths.weights != 32 || cost.widths.inputs != 32) {
    text +=
        fmt::format("\nweights {} bits, inputs {} bits", cost.widths.weights, cost.widths.inputs);
  }
  return text;
}

// At most `most` characters.
std::string shortened(const std::string& text, std::size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 2) + "..";
}

std::string box(const Node& node, const NodeCost& cost, const Place& place, int level) {
  std::string text = fmt::format("<g><title>{}</title>", escaped(tooltip(cost, node)));
  text += fmt::format(
      "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{}\" "
      "class=\"{}\"/>",
      place.x(), place.y(), kBoxWidth, kBoxHeight, fill(node), level >= 0 ? "tap" : "box");
  text += fmt::format("<text x=\"{}\" y=\"{}\" class=\"name\">{}</text>", place.x() + 8,
                      place.y() + 16, escaped(shortened(node.name, 28)));
  const std::string shape = to_string(cost.output);
  text += fmt::format("<text x=\"{}\" y=\"{}\" class=\"op\">{}</text>", place.x() + 8,
                      place.y() + 32, escaped(shortened(describe(node.op), 31 - shape.size())));
  text += fmt::format("<text x=\"{}\" y=\"{}\" class=\"shape\">{}</text>",
                      place.x() + kBoxWidth - 8, place.y() + 32, shape);
  if (level >= 0) {
    text += fmt::format("<text x=\"{}\" y=\"{}\" class=\"level\">level {}</text>",
                        place.x() + kBoxWidth - 8, place.y() + 16, level);
  }
  return text + "</g>\n";
}

std::string legend(const Graph& graph) {
  std::set<std::string> kinds;
  bool heads = false;
  for (const Node& node : graph.nodes) {
    is_head(node) ? void(heads = true) : void(kinds.insert(kind_name(node.op)));
  }
  std::vector<std::pair<std::string, std::string>> entries;
  for (const Style& style : kStyles) {
    if (kinds.count(style.kind) != 0) entries.emplace_back(style.kind, style.fill);
  }
  if (kinds.count("l2_norm") != 0) entries.emplace_back("l2_norm", kOtherFill);
  if (heads) entries.emplace_back("head", kHeadFill);
  std::string text;
  int x = 20;
  for (const auto& [name, color] : entries) {
    text += fmt::format(
        "<rect x=\"{}\" y=\"48\" width=\"14\" height=\"14\" fill=\"{}\" "
        "class=\"box\"/><text x=\"{}\" y=\"60\" class=\"op\">{}</text>\n",
        x, color, x + 19, name);
    x += 34 + 7 * static_cast<int>(name.size());
  }
  return text;
}

std::string head(int width, int height) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
             "viewBox=\"0 0 {0} {1}\">\n",
             width, height) +
         "<style>text{font-family:sans-serif;fill:#222}.name{font-size:12px;font-weight:bold}"
         ".op{font-size:11px}.shape{font-size:11px;text-anchor:end}"
         ".level{font-size:11px;font-weight:bold;text-anchor:end;fill:#b04a00}"
         ".box{stroke:#667;stroke-width:1}.tap{stroke:#e06c00;stroke-width:3}"
         ".edge{fill:none;stroke:#667;stroke-width:1.3}</style>\n"
         "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
         "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#667\"/></marker>"
         "</defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n";
}

}  // namespace

std::string graph_svg(const Graph& graph, const Cost& cost, const std::string& title) {
  const Layout layout(graph);
  const int width = std::max(640, kLeft + layout.lanes() * kLanePitch);
  std::string svg = head(width, kTop + layout.rows() * kRowPitch);
  svg +=
      fmt::format("<text x=\"20\" y=\"30\" style=\"font-size:17px;font-weight:bold\">{}</text>\n",
                  escaped(title));
  svg += legend(graph);
  std::string boxes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!is_drawn(node)) continue;
    const auto id = static_cast<NodeId>(i);
    const auto tap = std::find(graph.features.begin(), graph.features.end(), id);
    const int level =
        tap == graph.features.end() ? -1 : static_cast<int>(tap - graph.features.begin());
    for (const NodeId input : node.inputs) svg += edge(layout.of(input), layout.of(id));
    boxes += box(node, cost.nodes[i], layout.of(id), level);
  }
  return svg + boxes + "</svg>\n";
}

}  // namespace ssdq
