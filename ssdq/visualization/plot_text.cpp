#include "ssdq/visualization/plot_text.h"

#include <algorithm>

#include <opencv2/imgproc.hpp>

namespace ssdq {
namespace {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kLegendScale = 0.45;
constexpr int kLegendLine = 20;
constexpr int kKeyWidth = 26, kKeyHeight = 12, kKeyGap = 6, kEntryGap = 22;

struct Legend {
  std::vector<std::string> texts;
  std::vector<cv::Rect> keys;
  int height = 0;
};

Legend lay_out(const std::vector<std::string>& entries, const cv::Rect& area) {
  Legend legend;
  int x = area.x, y = area.y;
  for (const std::string& entry : entries) {
    legend.texts.push_back(fitted_text(entry, kLegendScale, area.width - kKeyWidth - kKeyGap));
    const int width = kKeyWidth + kKeyGap + text_width(legend.texts.back(), kLegendScale);
    if (x > area.x && x + width > area.br().x) {
      x = area.x;
      y += kLegendLine;
    }
    legend.keys.emplace_back(x, y + (kLegendLine - kKeyHeight) / 2, kKeyWidth, kKeyHeight);
    x += width + kEntryGap;
  }
  legend.height = entries.empty() ? 0 : y + kLegendLine - area.y;
  return legend;
}

}  // namespace

int text_width(const std::string& text, double scale) {
  int baseline = 0;
  return cv::getTextSize(text, kFont, scale, 1, &baseline).width;
}

std::string fitted_text(const std::string& text, double scale, int width) {
  std::string fitted = text;
  for (std::size_t kept = text.size(); kept > 0 && text_width(fitted, scale) > width;) {
    --kept;
    fitted = text.substr(0, (kept + 1) / 2) + ".." + text.substr(text.size() - kept / 2);
  }
  return fitted;
}

void draw_text(cv::Mat& image, const std::string& text, const cv::Point& at, double scale,
               TextSide side) {
  int baseline = 0;
  const cv::Size size = cv::getTextSize(text, kFont, scale, 1, &baseline);
  const int before = side == TextSide::kLeft     ? 0
                     : side == TextSide::kCenter ? size.width / 2
                                                 : size.width;
  cv::putText(image, text, {at.x - before, at.y + size.height / 2}, kFont, scale, kPlotInk, 1,
              cv::LINE_AA);
}

int legend_height(const std::vector<std::string>& entries, int width) {
  return lay_out(entries, {0, 0, width, 0}).height;
}

std::vector<cv::Rect> draw_legend(cv::Mat& image, const std::vector<std::string>& entries,
                                  const cv::Rect& area) {
  const Legend legend = lay_out(entries, area);
  for (std::size_t i = 0; i < legend.keys.size(); ++i) {
    const cv::Rect& key = legend.keys[i];
    draw_text(image, legend.texts[i], {key.br().x + kKeyGap, key.y + kKeyHeight / 2}, kLegendScale,
              TextSide::kLeft);
  }
  return legend.keys;
}

}  // namespace ssdq
