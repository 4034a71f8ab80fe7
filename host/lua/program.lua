-- program.lua: what programs that train have in common; those of scripts/ are made with it.
--
--   local programs = require "lstm.program"
--   local opt, given = lstm.args(programs.with({about = ..., {"file"}, {"--hidden", default = 64}}, "seed", "out"))
--   local program = programs(opt, given, unkept)
--
-- opt, given: what lstm.args returned; unkept: names of the options that a resumed run is to be told again; a fourth
-- argument names the positionals, if they are others than "file".

local args = require "lstm.args"
local core = require "lstm.core"
local plot = require "lstm.plot"
local sniff = require "lstm.sniff"

local programs = {}

-- Options that many programs have, by field.
local shared = {
  init = {"--init", default = "default", choices = {"default", "pytorch"}, help = "how weights begin"},
  seed = {"--seed", default = 1, min = 0, help = "where random numbers begin"},
  patience = {"--patience", type = "integer", min = 1, help = "stop after so many looks without an improvement"},
  out = {"--out", type = "string", value = "FILE", help = "save the model here"},
  load = {"--load", type = "string", value = "MODEL", help = "do not train: use a model that --out saved"},
  checkpoint = {"--checkpoint", type = "string", value = "FILE", help = "save the run here, to resume it"},
  resume = {"--resume", type = "string", value = "FILE",
    help = "go on exactly where a checkpoint stopped, with the options it was made with; the run goes on being saved" ..
      " there unless --checkpoint names another file"},
  report = {"--report", type = "string", value = "FILE",
    help = "write a page about the model here, as in report.html: curves, results, what its cells do"},
  loss_plot = {"--loss-plot", type = "string", value = "FILE", help = "draw the loss here, as in loss.svg"},
  verbose = {"--verbose", default = 1, min = 0, max = 2, help = "0 no progress, 1 a line, 2 a line for each look"},
}

--- A declaration for lstm.args with these of the options above at its end.
function programs.with(spec, ...)
  for _, name in ipairs{...} do
    local copy = {}
    for key, value in pairs(shared[name]) do copy[key] = value end
    spec[#spec + 1] = copy
  end
  return spec
end

local function spelled(name) return "--" .. name:gsub("_", "-") end

-- Files of pictures that are no SVG, and what else a name may promise.
local foreign = {png = true, jpg = true, jpeg = true, gif = true, webp = true, bmp = true, tif = true, tiff = true,
  pdf = true, eps = true, ps = true}

-- The sentence on a name whose end promises another kind of file than what is written there; or nil.
local function wrong_kind(option, path)
  local wanted = (option == "plot" or option == "loss_plot") and "svg" or option == "report" and "html"
  local stem, ending = path:match("^(.+)%.(%w+)$")
  if not wanted or not stem or not (foreign[ending:lower()] or wanted == "html" and ending:lower() == "svg") then
    return nil
  end
  return ("%s %s: it is written as %s: name it %s.%s"):format(spelled(option), path, wanted:upper(), stem, wanted)
end

-- Whether a path leads into a folder: false where this is none.
local function is_inside(path, folder)
  local wanted = core.file_id(folder .. "/\1")        -- of a file that would be in it
  while wanted do
    path = path:match("^(.*)/[^/]*$")
    if core.file_id((path or ".") .. "/\1") == wanted then return true end
    if not path or path == "" then return false end
  end
  return false
end

-- The sentence on a file of a folder that is read and would be written over; or nil.
local function clash_inside(opt, name, files)
  local path = opt[name]
  for _, file in ipairs(core.exists(path) and files or {}) do
    if opt[file] and is_inside(path, opt[file]) then
      return ("%s %s would be written over a file of %s, which is read: give it another name"):format(spelled(name),
        path, opt[file])
    end
  end
end

-- The sentence on a file that would be written over what is read, or twice; or nil.
local function clash(opt, written, files)
  local outputs, positional, owner = {}, {}, {}
  for _, name in ipairs(written) do outputs[name] = true end
  for _, name in ipairs(files) do positional[name] = true end
  local function each(name, value)
    local id = type(value) == "string" and core.file_id(value)
    if id and not outputs[name] and core.exists(value) then owner[id] = name end
  end
  for name, value in pairs(opt) do
    if type(value) ~= "table" then value = {value} end
    for _, one in ipairs(value) do each(name, one) end
  end
  for _, name in ipairs(written) do
    local path = opt[name]
    local id = path and core.file_id(path)
    local other = id and owner[id]
    local within = id and clash_inside(opt, name, files)
    if within then return within end
    if other and outputs[other] then
      return ("%s %s and %s %s are the same file: give each its own"):format(spelled(other), opt[other],
        spelled(name), path)
    elseif other and not (name == "checkpoint" and other == "resume") then
      return ("%s %s would be written over %s: give it another name"):format(spelled(name), path,
        positional[other] and "the file that is read" or spelled(other) .. " " .. tostring(opt[other]))
    end
    if id then owner[id] = name end
  end
end

--- What is wrong with the names of files, as a sentence; nil where nothing is.
-- opt: what lstm.args returned; written: names of the options that name files to write; files: of the positionals.
function programs.wrong(opt, written, files)
  for _, name in ipairs(written) do
    local wrong = opt[name] and wrong_kind(name, opt[name])
    if wrong then return wrong end
  end
  return clash(opt, written, files)
end

local Program = {}
Program.__index = Program

--- The value, or the program ends with the sentence that came instead.
function Program.need(value, message)
  if not value then args.stop(message) end
  return value
end

--- An on_epoch for fit: without a part to choose by, the weights of the last epoch are the ones that count.
function Program.keep_last(_, _, trainer) trainer:keep_best() end

--- A line on stderr, unless --verbose 0.
function Program:say(...)
  if self.opt.verbose == 0 then return end
  io.stdout:flush()                                  -- what was said before comes first, also its last newline
  io.stderr:write(string.format(...), "\n")
end

--- Ends the program where a file named by one of these options cannot be written, or would be written over another
-- one of the command line, before hours of work.
function Program:check_writable(names)
  local opt = self.opt
  local wrong = programs.wrong(opt, names, self.files)
  if wrong then args.stop(wrong, 2) end
  for _, name in ipairs(names) do self.need(args.writable(spelled(name), opt[name])) end
end

-- Options that write a file, or another number of forecasts: a checkpoint does not keep them.
local lost = {"next", "out", "plot", "loss_plot", "report"}

-- Says what a resumed run is not told again, where it is told nothing of it.
local function warn_forgotten(self)
  local names, known = {}, {}
  for _, name in ipairs(self.unkept) do known[name] = true end
  for _, name in ipairs(lost) do
    if self.given[name] then return end
    if known[name] then names[#names + 1] = spelled(name) end
  end
  if #names == 0 then return end
  self:say("only %s is written: it does not keep %s, so give again what you want of them", self.opt.checkpoint or
    self.opt.resume, table.concat(names, ", "))
end

--- Says so where nothing will be saved, or less than before.
function Program:warn_unsaved()
  local opt = self.opt
  if opt.resume then warn_forgotten(self) end
  if not (opt.out or opt.checkpoint or opt.resume) then
    self:say("nothing will be saved: --out FILE keeps the model, --checkpoint FILE the run")
  end
end

--- Where a checkpoint's run stands, in training steps, and whether a look is due there; nil for a mere model.
function Program.position_of(model)
  local strings = model.core:meta()
  return tonumber(strings["fit.position"] or ""), strings["fit.due"] ~= nil
end

--- Ends the program where an option was given that differs from what made the file; those named in `free` may.
function Program:check_conflict(path, text, free)
  local now, before = args.conflict(self.opt, self.given, text, free)
  if now then args.stop(("%s conflicts with %s, which %s was made with"):format(now, before, path)) end
end

--- Ends the program where FILE is a model or binary data. wanted: "a text".
function Program.check_data(_, path, wanted)
  local problem = sniff.no_data(path, wanted)
  if problem then args.stop(problem) end
end

-- What to say where FILE is a model and the other one is not.
function Program:swapped(path)
  local file = self.opt[self.files[1]]
  if not file or sniff.kind(file) ~= "model" or sniff.kind(path) == "model" then return nil end
  return ("%s is no model, but %s is one: they are swapped"):format(path, file)
end

-- What does in Lua what a command does with --load.
local in_lua = {chars = "generate", forecast = "forecast", classify = "classify", sentiment = "classify",
  audio = "state", anomaly = "forecast", tag = "predict", stack = "predict"}

--- Ends the program where meta, that of a model in `path`, has nothing by the name of this program, telling which
-- command it belongs to, or what to do with a model of a Lua script. meta: nil for a pair of models.
function Program.check_maker(_, path, meta, name)
  if meta and meta[name] then return end
  local other = sniff.command(meta)
  args.stop(other and ("%s is a model of lstm %s, not of lstm %s"):format(path, other, name) or
    ("%s was not made by lstm %s: use it in Lua, with lstm.load%s"):format(path, name,
      meta and in_lua[name] and " and model:" .. in_lua[name] or ""))
end

--- The model of a file that a program saved with meta[name]; or the end.
function Program:open(path, name)
  local model, message = require "lstm.model".load(path)
  if not model then args.stop(self:swapped(path) or sniff.no_model(path) or message) end
  self:check_maker(path, rawget(model, "meta"), name)          -- a pair of models has none
  return model
end

--- --resume: the model of the run, and its options for all that the command line leaves open.
-- name: where in meta the program kept them (args.keep); free: names of those that may differ.
function Program:reopen(name, free)
  local path = self.opt.resume
  local model = self:open(path, name)
  if not self.position_of(model) then
    args.stop(path .. " is a model, not a checkpoint of a run: --checkpoint makes one, --load uses a model")
  end
  self:check_conflict(path, model.meta[name], free)
  args.recall(self.opt, self.given, model.meta[name])
  return model
end

--- Where --epochs was not given: the usual number, more where the data are so few that these would be fewer than
-- `least` steps, fewer where they would be more than `most`. count: what an epoch goes through in batches.
function Program:choose_epochs(count, usual, least, most)
  local per_epoch = math.ceil(count / self.opt.batch)
  self.opt.epochs = self.opt.epochs or
    math.max(1, math.min(math.max(usual, math.ceil(least / per_epoch)), math.floor(most / per_epoch)))
end

--- A run that is resumed needs something left to do. count: what an epoch goes through in batches.
function Program:check_epochs(model, count)
  local opt = self.opt
  local per_epoch = math.ceil(count / opt.batch)
  local done, due = self.position_of(model)
  local total = opt.epochs * per_epoch
  if total < done or total == done and not due then
    args.stop(("%s is already at epoch %d; --epochs counts from the beginning, so %d leaves nothing to do"):format(
      opt.resume, math.floor(done / per_epoch), opt.epochs))
  end
end

--- With --load only the options named in `useful` mean something.
function Program:check_load_options(useful)
  local means = {}
  for _, name in ipairs(useful) do means[name] = true end
  for name in pairs(self.given) do
    if not means[name] then
      args.stop(("%s has no effect with --load, which does not train; to train on, use --resume with a checkpoint")
        :format(name == "file" and "FILE" or "--" .. name:gsub("_", "-")))
    end
  end
end

-- After Ctrl-C: what is saved, and how to go on.
local function stop_interrupted(self, message)
  local opt = self.opt
  local path = opt.checkpoint or opt.resume
  message = message:gsub(", .*", "")
  if path then
    local words = {}
    for _, name in ipairs(self.files) do words[#words + 1] = opt[name] end
    words[#words + 1], words[#words + 2] = "--resume", path
    message = message .. "; go on with " .. args.command(words, opt, self.given, self.unkept)
  elseif opt.out then
    message = message .. ("; the best model so far is in %s, but without --checkpoint the run cannot go on"):format(
      opt.out)
  else
    message = message .. "; nothing was saved: --out keeps the model, --checkpoint the run"
  end
  args.stop(message, 130)
end

-- Forecasts below each other in one picture. list: options of plot.forecast.
local function draw_forecasts(path, list)
  if #list == 1 then return plot.forecast(path, list[1]) end
  local width, height = 860, 420
  local parts = {('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">\n'):format(width,
    height * #list, width, height * #list)}
  for k, one in ipairs(list) do
    parts[k + 1] = plot.forecast(nil, one):gsub("<svg ", ('<svg y="%d" '):format((k - 1) * height), 1)
  end
  return core.writefile(path, table.concat(parts) .. "</svg>\n")
end

--- Draws what the command line asks for and what there is: --plot a forecast or a confusion matrix, --report the page.
-- what: forecast (a list of options of plot.forecast), confusion, and what else lstm.report takes: model, history, ...
function Program:draw(what)
  local function drawn(option, draw)
    local path = self.opt[option]
    if not path then return end
    self.need(draw(path))
    self:say("%s: %s", option, path)
  end
  drawn("plot", function(path)
    if what.forecast then return draw_forecasts(path, what.forecast) end
    return plot.confusion(what.confusion, path, {title = what.title})
  end)
  drawn("report", function(path) return require "lstm.report".write(path, what) end)
end

--- Trains, saves --out and draws --loss-plot (with `style`, options of plot.history), also after Ctrl-C.
-- Returns the history, or ends the program with the sentence of what stopped it, in the script's own words.
function Program:fit(model, train, options, style)
  local opt = self.opt
  local history, message, status, record = model:fit(train, options)
  if not history and status ~= "interrupted" then
    args.stop((message:gsub("^fit: ", ""):gsub("a smaller lr, or clip", "a smaller --lr, or --clip")))
  end
  if opt.out then
    self.need(model:save(opt.out))
    self:say("model: %s", opt.out)
  end
  record = history or record
  if opt.loss_plot and record and #record > 0 then
    self.need(plot.history(record, opt.loss_plot, style))
    self:say("plot: %s", opt.loss_plot)
  end
  if not history then stop_interrupted(self, message) end
  return history
end

local function new(_, opt, given, unkept, files)
  return setmetatable({opt = opt, given = given, unkept = unkept, files = files or {"file"}}, Program)
end

return setmetatable(programs, {__call = new})
