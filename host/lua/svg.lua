-- svg.lua: what every picture is made of: text that is safe and fits, numbers, colours, the document around it.
--
-- A picture is readable on a light and on a dark page (it follows prefers-color-scheme) and its text stays text.

local core = require "lstm.core"
local utf = require "lstm.utf"

local svg = {}

local FONT = 13                              -- pixels; titles are larger
local LIGHT = {"#0969da", "#d1570b", "#1a7f37", "#8250df", "#cf222e", "#0b7285"}
local DARK = {"#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#ff7b72", "#39c5cf"}
local CHARACTER = "[%z\1-\127\194-\244][\128-\191]*"

svg.FONT, svg.CHARACTER = FONT, CHARACTER

--- Valid UTF-8 without control characters, whatever was given: "?" for a broken byte, a space for a control character.
function svg.clean(text)
  text = tostring(text)
  local bad, pieces, at = utf.broken_at(text), {}, 1
  while bad do
    pieces[#pieces + 1] = text:sub(at, bad - 1) .. "?"
    text, at = text:sub(bad + 1), 1
    bad = utf.broken_at(text)
  end
  return ((table.concat(pieces) .. text):gsub("[%z\1-\31\127]", " "))
end

local entities = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;"}

--- Text for XML and HTML, cleaned and escaped.
function svg.escape(text) return (svg.clean(text):gsub("[&<>\"']", entities)) end

-- How wide a character is, in ems: a little more than in the usual sans-serif fonts.
local function character_width(c)
  if #c >= 3 then return (c == "\226\128\166" or c == "\226\136\146" or c == "\226\128\147") and 0.85 or 1.02 end
  if c:find "[ijlI|.,:;'!%[%]()ft /\\-]" then return 0.4 end
  if c:find "[mwMW@%%]" then return 0.98 end
  if c:find "[A-Z&]" then return 0.74 end
  return 0.63
end

--- About how wide a text is in a sans-serif font of `size` pixels (default 13), in pixels.
function svg.text_width(text, size)
  local sum = 0
  for c in text:gmatch(CHARACTER) do sum = sum + character_width(c) end
  return sum * (size or FONT)
end

--- The text, or as much of its beginning as `room` pixels hold and "...".
function svg.fit(text, room, size)
  text = svg.clean(text)
  if svg.text_width(text, size) <= room then return text end
  local kept, width = {}, 0.85 * (size or FONT)
  for c in text:gmatch(CHARACTER) do
    width = width + character_width(c) * (size or FONT)
    if width > room then break end
    kept[#kept + 1] = c
  end
  return table.concat(kept):gsub(" +$", "") .. "\226\128\166"
end

--- A length in pixels: one decimal is finer than a screen; no "-0" and no trailing ".0".
function svg.px(value)
  local text = ("%.1f"):format(value):gsub("%.0$", "")
  return text == "-0" and "0" or text
end

local px = svg.px

--- A text element. more: further attributes, with a space before.
function svg.text(x, y, class, text, more)
  return ('<text x="%s" y="%s" class="%s"%s>%s</text>'):format(px(x), px(y), class, more or "", svg.escape(text))
end

-- .c1 is a stroke in the first colour, .f1 a fill.
local function colors(list, count)
  local rules = {}
  for i = 1, count do
    local color = list[(i - 1) % #list + 1]
    rules[i] = (".c%d{stroke:%s}.f%d{fill:%s}"):format(i, color, i, color)
  end
  return table.concat(rules)
end

--- The rules that pictures of up to `count` colours need, as text for <style>.
function svg.style(count)
  return table.concat({
    "svg text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:" .. FONT ..
      "px}",
    ".bg{fill:#ffffff}svg .title{font-size:18px;font-weight:600}svg .small{font-size:11px}svg .tiny{font-size:9px}",
    ".ink{fill:#1f2328}.soft{fill:#59636e}",
    ".grid{stroke:#e6eaee;stroke-width:1}.axis{stroke:#aab2bb;stroke-width:1}",
    ".s{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}",
    ".dash{stroke-dasharray:7 6}.thin{stroke-width:1.1;opacity:.75}.mark{stroke-width:2.5}",
    ".muted{stroke-width:1.3;stroke:#8b949e}.dots{stroke-width:4.5}.band{opacity:.18}.bars{opacity:.75}",
    ".ring{stroke:#ffffff}.halo{stroke:#ffffff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}",
    ".on{fill:#ffffff}.empty{fill:#f1f3f5}",
    colors(LIGHT, count),
    "@media (prefers-color-scheme:dark){",
    ".bg{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#232a33}.axis{stroke:#4a525c}",
    ".muted{stroke:#7d8590}.ring,.halo{stroke:#0d1117}.on{fill:#0d1117}.empty{fill:#1b2129}",
    colors(DARK, count),
    "}",
  }, "\n")
end

--- A whole picture. opts: width, height, title (its name for screen readers, default `what`), what, colors (how many),
-- inline (true: for a page that has the style already). out: the elements, a list of strings.
function svg.document(opts, out)
  return table.concat({
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">'):format(
      opts.width, opts.height, opts.width, opts.height),
    "<title>" .. svg.escape(opts.title ~= "" and opts.title or opts.what) .. "</title>",
    opts.inline and "" or "<style>\n" .. svg.style(opts.colors) .. "</style>",
    ('<rect class="bg" width="%d" height="%d" rx="8"/>'):format(opts.width, opts.height),
    table.concat(out, "\n"),
    "</svg>\n",
  }, "\n")
end

local PICTURES = {png = true, jpg = true, jpeg = true, gif = true, webp = true, pdf = true, eps = true}

--- Writes a picture to a file; without a file returns it. Returns true (or the text), or nil, message, status.
-- Raises for a name that promises another kind of picture; a page (text that is no SVG) may have any name.
function svg.save(text, file)
  if not file then return text end
  local stem, kind = tostring(file):match("^(.*)%.(%w+)$")
  if kind and PICTURES[kind:lower()] and text:sub(1, 4) == "<svg" then
    core.raise(("plot: %s: pictures are SVG: name it %s.svg (browsers and editors show it)"):format(file, stem))
  end
  local ok, message, status = core.writefile(file, text)
  if not ok then return nil, message, status end
  return true
end

return svg
