-- A game for LÖVE 11: draw with the mouse, and a network names the gesture while you draw. Press T, draw a new one
-- three to five times, and it learns that too, 2 ms of every frame.
--
--   make module LUA=luajit && love examples/gesture/love [--model FILE] [--seconds N]
--
-- It is the game of ../gesture.c: one hand:step for each bit of a movement; a lesson that trains a clone of the model
-- while the game goes on; hand:use, which puts the clone under the running state.

package.cpath = package.cpath .. ";build/luajit/?.so"
local lstm = require "lstm"
local strokes = require "strokes"

local KNOWN = {"circle", "line", "zigzag", "triangle"}
local LABELS = {"circle", "line", "zigzag", "triangle", "new 1", "new 2", "new 3", "something else"}
local FREE, OTHER = 5, 8                      -- places in LABELS: new gestures take 5 to 7
local STEPS, SHORT = 80, 4                    -- learned of a stroke; less than SHORT is no gesture
local EXAMPLES, MINIMUM = 5, 3                -- strokes of a new gesture
local SLICE, FIRST_SLICE = 0.002, 0.010       -- seconds of a frame that a lesson may take
local SHEET = {x = 24, y = 84, w = 608, h = 444}
local PANEL, ROW = {x = 656, w = 280}, 56

local function rgb(hex)
  return {math.floor(hex / 65536) / 255, math.floor(hex / 256) % 256 / 255, hex % 256 / 255}
end
local COLOURS = {rgb(0x4cc9f0), rgb(0xf9c74f), rgb(0xff6b6b), rgb(0x8ee07f), rgb(0xb48cff), rgb(0xff7ac6),
                 rgb(0xff9f45), rgb(0x8b97a8)}
local DARK, DIM, RAISED = rgb(0x0d1015), rgb(0x141922), rgb(0x1d2430)
local FAINT, GREY, LIGHT = rgb(0x4d596b), rgb(0x93a0b3), rgb(0xe8edf4)

local model, hand                             -- the network, and what it remembers of the stroke so far
local names, examples = {}, {}                -- of the new gestures, by place: names, lists of strokes
local p, shown = {}, {}                       -- probabilities now, and as the bars show them
local trail, here_x, here_y, steps = {}, 0, 0, 0
local drawing, teaching, naming, named        -- the last three: places in LABELS
local next_free, lesson, learned = FREE, nil, nil
local deaf                                    -- to the letter of a key that meant something else
local args, fonts, icons = {}, {}, {}
local frames, work, longest, history = 0, 0, 0, {}   -- work: seconds of this frame; history: of the last ones
local now = love.timer.getTime

local function name_of(place) return names[place] or LABELS[place] end
local function say(...) print(string.format(...)) end

-- --- learning --------------------------------------------------------------------------------------------------------

-- Which gesture stroke i of a lesson shows: the new one in a third of them, else any that there is.
local function choose(i)
  if lesson.subject and i % 3 == 0 then return lesson.subject end
  local place
  repeat place = math.random(#LABELS) until place < FREE or place == OTHER or #(examples[place] or "") >= MINIMUM
  return place
end

-- A stroke of a gesture, never twice the same: from the generator, or from an example.
local function make_stroke(place)
  if place == OTHER then return strokes.make "scribble" end
  if KNOWN[place] then return strokes.make(KNOWN[place]) end
  local example = examples[place][math.random(#examples[place])]
  local _, _, size = strokes.middle(example)
  return strokes.vary(example, size * (0.6 + 0.9 * math.random()))
end

-- Adds stroke i to what the lesson learns from: every step has the gesture as its target, and counts the more the later
-- it comes.
local function practise(i)
  local set, place = lesson.set, choose(i)
  local inputs, weights = strokes.inputs(make_stroke(place), STEPS), {}
  local worth = place == lesson.subject and 0.5 or 1   -- it comes often: it shall not seem more probable than it is
  set.lengths[i] = #inputs
  for t = 1, STEPS do
    weights[t] = t <= #inputs and worth * (t / #inputs) ^ 2 or 0
    inputs[t] = inputs[t] or {0, 0}
  end
  set.x[i], set.weights[i] = inputs, weights
  set.y[i]:fill(place)
end

-- subject: the place of the new gesture; nil: all, from nothing.
local function begin_lesson(subject)
  local count = subject and 1200 or 4000
  lesson = {
    subject = subject, count = count, filled = 0, frames = 0, worst = 0, began = now(),
    set = {x = lstm.zeros{count, STEPS, 2}, y = lstm.zeros({count, STEPS}, "int32"),
           lengths = lstm.zeros(count, "int32"), weights = lstm.zeros{count, STEPS}},
    options = {
      epochs = 6, batch = 16, lr = subject and 0.015 or 0.03, schedule = "cosine",
      schedule_steps = count * 6 / 16, schedule_factor = 0.05, restore_best = false, seed = 1,
    },
  }
end

local function end_lesson()
  model = lesson.run.model
  if hand then hand:use(model) else hand = model:state() end
  learned = {subject = lesson.subject, took = now() - lesson.began}
  if lesson.subject then
    say("learned %s in %d frames, %.2f s, longest slice %.2f ms", name_of(lesson.subject), lesson.frames, learned.took,
        lesson.worst * 1e3)
  else say("ready after %.2f s", learned.took) end
  lesson = nil
end

-- Goes on with the lesson for a slice of this frame: first the strokes are made, then they are learned.
local function learn()
  local begin = now()
  local deadline = begin + (hand and SLICE or FIRST_SLICE)
  while lesson.filled < lesson.count and now() < deadline do
    lesson.filled = lesson.filled + 1
    practise(lesson.filled)
  end
  local done
  if lesson.run then
    local message
    done, message = lesson.run:run(math.max(0, deadline - now()))
    if done == nil then error(message) end
  elseif lesson.filled == lesson.count then
    lesson.run = assert(model:lesson(lesson.set, lesson.options))
  end
  lesson.frames, lesson.worst = lesson.frames + 1, math.max(lesson.worst, now() - begin)
  if done then end_lesson() end
end

local function progress()
  return 0.1 * lesson.filled / lesson.count + (lesson.run and 0.9 * lesson.run:progress() or 0)
end

-- --- drawing and naming ----------------------------------------------------------------------------------------------

local function best()
  local place = 1
  for i = 2, #LABELS do if p[i] > p[place] then place = i end end
  return place
end

local function forget()
  for i = 1, #LABELS do p[i] = 0 end
  trail, steps, named = {}, 0, nil
end

local function end_name()
  say("new gesture: %s", name_of(naming))
  naming = nil
end

function love.mousepressed(x, y, button)
  if naming then end_name() end
  if button ~= 1 or not hand or x < SHEET.x or x >= SHEET.x + SHEET.w or y < SHEET.y or y >= SHEET.y + SHEET.h then
    return
  end
  forget()
  hand:reset()
  here_x, here_y, drawing = x, y, true
  trail[1], trail[2] = x, y
end

function love.mousemoved(x, y)
  if not drawing then return end
  x = math.max(SHEET.x, math.min(SHEET.x + SHEET.w - 1, x))
  y = math.max(SHEET.y, math.min(SHEET.y + SHEET.h - 1, y))
  local dx, dy = x - trail[#trail - 1], y - trail[#trail]
  if dx * dx + dy * dy >= 16 then trail[#trail + 1], trail[#trail + 2] = x, y end
  while true do
    local next_x, next_y, across, down = strokes.walk(here_x, here_y, x, y)
    if not next_x then return end
    here_x, here_y, steps = next_x, next_y, steps + 1
    hand:step(across, down)
    local output = hand:output()
    for i = 1, #LABELS do p[i] = output[i] end
  end
end

local function finish_teaching()
  begin_lesson(teaching)
  teaching, naming = nil, teaching
end

local function keep_example()
  local list = examples[teaching]
  list[#list + 1] = trail
  icons[teaching] = list[1]
  say("example %d of %s", #list, name_of(teaching))
  if #list == EXAMPLES then finish_teaching() end
end

function love.mousereleased(_, _, button)
  if button ~= 1 or not drawing then return end
  drawing = false
  if steps < SHORT then return end
  if teaching then return keep_example() end
  local _, share = hand:best()
  named = best()
  say("named %s %.2f", name_of(named), share)
end

-- T: begins to teach, or has seen enough examples.
local function press_teach()
  if not hand or lesson or drawing then return end
  if teaching then
    if #examples[teaching] >= MINIMUM then finish_teaching() end
    return
  end
  teaching = next_free
  next_free = next_free + 1 < OTHER and next_free + 1 or FREE
  names[teaching], examples[teaching], icons[teaching] = nil, {}, nil
  forget()
end

function love.textinput(letters)
  if not naming or deaf then return end
  letters = letters:lower():gsub("[^%w ]", "")
  names[naming] = ((names[naming] or "") .. letters):sub(1, 14)
end

function love.keypressed(key)
  if naming then
    if key == "backspace" then names[naming] = (names[naming] or ""):sub(1, -2) end
    if names[naming] == "" then names[naming] = nil end
    if key == "return" or key == "escape" then end_name() end
  elseif key == "t" then
    deaf = true
    press_teach()
  elseif key == "escape" and teaching then
    examples[teaching], icons[teaching] = nil, nil
    next_free, teaching = teaching, nil
  elseif key == "escape" then love.event.quit()
  end
end

-- --- the picture -----------------------------------------------------------------------------------------------------

local graphics = love.graphics

local function colour(c, alpha) graphics.setColor(c[1], c[2], c[3], alpha or 1) end

local function box(x, y, w, h, radius, c, alpha, how)
  colour(c, alpha)
  graphics.rectangle(how or "fill", x, y, w, h, radius)
end

-- align: 0 begins at x, 0.5 is centred on it, 1 ends there. y is the top.
local function text(s, x, y, size, c, alpha, align)
  local font = fonts[size]
  graphics.setFont(font)
  colour(c, alpha)
  graphics.print(s, math.floor(x - (align or 0) * font:getWidth(s)), math.floor(y))
  return font:getWidth(s)
end

local function draw_icon(s, x, y, side, c)
  local middle_x, middle_y, size = strokes.middle(s)
  local to = {}
  for i = 1, #s, 2 do
    to[i], to[i + 1] = x + (s[i] - middle_x) * side / size, y + (s[i + 1] - middle_y) * side / size
  end
  colour(c)
  graphics.setLineWidth(2.2)
  graphics.line(to)
end

local function draw_row(place)
  local y, x, share = SHEET.y + (place - 1) * ROW, PANEL.x + 62, shown[place]
  if place >= FREE and place < OTHER and not icons[place] then
    graphics.setLineWidth(1.5)
    box(PANEL.x + 1, y + 1, PANEL.w - 2, 48, 10, RAISED, 1, "line")
    text("free", x, y + 17, 13, FAINT)
    return
  end
  local first = share > 0.5
  box(PANEL.x, y, PANEL.w, 50, 10, DIM)
  if first then
    box(PANEL.x, y, PANEL.w, 50, 10, COLOURS[place], 0.16 * share)
    graphics.setLineWidth(1.5)
    box(PANEL.x + 1, y + 1, PANEL.w - 2, 48, 10, COLOURS[place], share, "line")
  end
  if place == OTHER then text("?", PANEL.x + 31, y + 9, 26, COLOURS[place], 1, 0.5)
  else draw_icon(icons[place], PANEL.x + 31, y + 25, 28, COLOURS[place]) end
  text(name_of(place), x, y + 9, 14, first and LIGHT or GREY)
  text(("%d %%"):format(share * 100 + 0.5), PANEL.x + PANEL.w - 16, y + 9, 14, first and LIGHT or GREY, 1, 1)
  box(x, y + 33, PANEL.w - 78, 6, 3, RAISED)
  if share > 0.01 then box(x, y + 33, math.max(6, (PANEL.w - 78) * share), 6, 3, COLOURS[place]) end
end

-- The one line that says what to do.
local function draw_instruction()
  local x, y = SHEET.x, 52
  if not hand then return text("Learning its first gestures...", x, y, 16, GREY) end
  if naming then return text("Type a name for it, then Enter. It is learning already.", x, y, 16, LIGHT) end
  if teaching then
    local more = #examples[teaching] >= MINIMUM and "Once more, or T if that is enough."
    return text(more or "Draw your new gesture, five times.", x, y, 16, LIGHT)
  end
  x = x + text("Draw with the mouse: the network names it.", x, y, 16, LIGHT) + 16
  box(x, y - 2, 24, 24, 6, RAISED)
  text("T", x + 12, y + 1, 16, COLOURS[2], 1, 0.5)
  text("teaches it a new one.", x + 34, y, 16, LIGHT)
end

local function draw_trail()
  if #trail < 4 then return end
  local place, c = best(), GREY
  if teaching or naming then c = COLOURS[teaching or naming]
  elseif steps >= SHORT then c = COLOURS[place] end
  graphics.setLineJoin "bevel"
  for i = 1, 6 do
    graphics.setLineWidth(26 - 4 * i)
    colour(c, 0.035)
    graphics.line(trail)
  end
  graphics.setLineWidth(5)
  colour({0.5 + c[1] / 2, 0.5 + c[2] / 2, 0.5 + c[3] / 2}, drawing and 1 or 0.75)
  graphics.line(trail)
end

local function draw_sheet()
  local middle, below = SHEET.x + SHEET.w / 2, SHEET.y + SHEET.h - 58
  box(SHEET.x, SHEET.y, SHEET.w, SHEET.h, 14, DIM)
  for y = SHEET.y + 30, SHEET.y + SHEET.h, 32 do
    for x = SHEET.x + 32, SHEET.x + SHEET.w - 1, 32 do box(x, y, 1.5, 1.5, 0, FAINT, 0.5) end
  end
  draw_trail()
  if teaching then
    graphics.setLineWidth(2)
    box(SHEET.x + 1, SHEET.y + 1, SHEET.w - 2, SHEET.h - 2, 14, COLOURS[teaching], 1, "line")
    for i = 1, EXAMPLES do
      colour(COLOURS[teaching])
      graphics.circle(i <= #examples[teaching] and "fill" or "line", middle + (i - 3) * 30, below + 30, 7)
    end
  elseif naming then
    text(name_of(naming) .. (frames % 60 < 30 and "_" or ""), middle, below, 38, COLOURS[naming], 1, 0.5)
  elseif steps >= SHORT then
    text(name_of(best()), SHEET.x + 24, below, 38, COLOURS[best()])
    text(("%d %%"):format(p[best()] * 100 + 0.5), SHEET.x + SHEET.w - 24, below, 38, COLOURS[best()], 1, 1)
  elseif hand and #trail == 0 then
    text("A circle? A line? A zigzag? A triangle?", middle, SHEET.y + 205, 20, FAINT, 1, 0.5)
  end
end

local function draw_lesson()
  local s, share, place = "The network rests.", 0, learned and learned.subject
  if lesson then
    place, share = lesson.subject, progress()
    s = ("Learning %s: %d %%, %.0f ms of each frame"):format(place and name_of(place) or table.concat(KNOWN, ", "),
                                                            share * 100, (hand and SLICE or FIRST_SLICE) * 1e3)
  elseif learned then
    share, s = 1, ("Learned %s in %.1f s"):format(place and name_of(place) or "its first gestures", learned.took)
  end
  text(s, SHEET.x, 540, 14, GREY)
  box(SHEET.x, 568, SHEET.w, 8, 4, DIM)
  if share > 0.02 then box(SHEET.x, 568, SHEET.w * share, 8, 4, COLOURS[place or 1], lesson and 1 or 0.35) end
end

-- The work in the last frames, and in colour what the lesson took of it. The graph is 1/60 s high.
local function draw_times()
  local last = history[(frames - 1) % 140] or {0, 0}
  text(("frame %.1f ms, longest %.1f ms"):format(last[1] * 1e3, longest * 1e3), PANEL.x, 540, 14, GREY)
  for i = 1, 140 do
    local row = history[(frames + i) % 140] or {0, 0}
    local all, part = math.min(row[1] * 60, 1) * 20, math.min(row[2] * 60, 1) * 20
    box(PANEL.x + i * 2 - 2, 584 - all, 1.5, all, 0, FAINT)
    box(PANEL.x + i * 2 - 2, 584 - part, 1.5, part, 0, COLOURS[2])
  end
end

function love.draw()
  local begin = now()
  graphics.clear(DARK)
  text("gesture", SHEET.x, 16, 28, LIGHT)
  draw_instruction()
  draw_sheet()
  for i = 1, #LABELS do draw_row(i) end
  draw_lesson()
  draw_times()
  work = work + now() - begin
  history[frames % 140] = {work, history.slice}
  if frames > 3 then longest = math.max(longest, work) end
  frames = frames + 1
end

-- --- the game --------------------------------------------------------------------------------------------------------

local function make_icons()
  icons[1], icons[2], icons[3], icons[4] = {}, {0, 1, 1, 0}, {0, 1, 0.33, 0, 0.66, 1, 1, 0},
    {0.5, 0, 1, 0.9, 0, 0.9, 0.5, 0}
  for i = 0, 32 do icons[1][2 * i + 1], icons[1][2 * i + 2] = math.cos(i * math.pi / 16), math.sin(i * math.pi / 16) end
end

-- Takes the model, and the gestures that were kept with it, from the file, if it is there.
local function load_model(path)
  local from, message, status = lstm.load(path)
  if not from and status ~= "io" then error(message, 0) end
  local kept = from and from.meta.gestures
  if not kept then return end
  model, hand = from, from:state()
  for i = FREE, OTHER - 1 do
    local one = kept[i - FREE + 1]
    if one and one.examples[1] then
      names[i], examples[i], icons[i] = one.name, one.examples, one.examples[1]
      next_free = i + 1 < OTHER and i + 1 or FREE
    end
  end
end

local function save_model(path)
  local kept = {}
  for i = FREE, OTHER - 1 do kept[i - FREE + 1] = {name = name_of(i), examples = examples[i] or {}} end
  model.meta.gestures = kept
  assert(model:save(path))
end

function love.load(given)
  io.stdout:setvbuf "line"
  for i = 1, #given, 2 do args[given[i]] = given[i + 1] end
  make_icons()
  for _, size in ipairs{13, 14, 16, 20, 26, 28, 38} do fonts[size] = graphics.newFont(size) end
  for i = 1, #LABELS do p[i], shown[i] = 0, 0 end
  model = lstm.model{input = 2, lstm.lstm{24, read = "all"}, output = LABELS, seed = 1}
  if args["--model"] then load_model(args["--model"]) end
  if hand then say "ready" else begin_lesson() end
end

function love.update()
  local begin = now()
  deaf = false
  if lesson then learn() end
  history.slice = now() - begin
  for i = 1, #LABELS do shown[i] = shown[i] + (p[i] - shown[i]) * 0.35 end
  work = now() - begin
  if love.timer.getTime() - (args.began or begin) > tonumber(args["--seconds"] or math.huge) then love.event.quit() end
  args.began = args.began or begin
end

function love.quit()
  if hand and args["--model"] then save_model(args["--model"]) end
  say("%d frames, longest %.2f ms", frames, longest * 1e3)
end
