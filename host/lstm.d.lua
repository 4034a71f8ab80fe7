---@meta lstm
-- lstm.d.lua: what `require "lstm"` offers, for editors (lua-language-server: add this folder to workspace.library).
-- tests/lua/stubs.lua keeps it equal to what is exported.

---LSTM and GRU networks. help "model", help "csv" and help "fit" show where to begin.
---@class lstm
---@field version string
local lstm = {}

-- --- arrays and files ------------------------------------------------------------------------------------------------

---@alias lstm.Kind "float32"|"int32"|"uint8"

---Numbers in one block of memory, row-major, up to four axes. `#a`: the first size; `a[i]`: a number or a row (a view).
---@class lstm.Array
---@operator add(lstm.Array|number): lstm.Array
---@operator sub(lstm.Array|number): lstm.Array
---@operator mul(lstm.Array|number): lstm.Array
---@operator div(lstm.Array|number): lstm.Array
---@operator pow(lstm.Array|number): lstm.Array
---@operator unm: lstm.Array
---@field [integer] number|lstm.Array
local Array = {}
---The sizes, one number for each axis.
---@return integer ...
function Array:shape() end
---What its numbers are.
---@return lstm.Kind
function Array:kind() end
---A view of elements from..to along the first axis, both included; negative counts from the end.
---@param from integer
---@param to? integer
---@return lstm.Array
function Array:slice(from, to) end
---A copy of column j of an array with two axes.
---@param j integer
---@return lstm.Array
function Array:column(j) end
---A view with another shape.
---@param shape integer[]
---@return lstm.Array
function Array:reshape(shape) end
---A copy with numbers of its own.
---@return lstm.Array
function Array:copy() end
---The numbers as they are in memory; lstm.frombytes reads them.
---@return string
function Array:bytes() end
---The numbers as a Lua table, nested where there are more axes.
---@return table
function Array:totable() end
---Sets every number to a value.
---@param value number
---@return lstm.Array self
function Array:fill(value) end
---The sum of all; with axis 1 that of each column, with axis 2 that of each row.
---@param axis? 1|2
---@return number|lstm.Array
function Array:sum(axis) end
---The mean of all; with axis 1 that of each column, with axis 2 that of each row.
---@param axis? 1|2
---@return number|lstm.Array
function Array:mean(axis) end
---The least of all; with axis 1 that of each column, with axis 2 that of each row.
---@param axis? 1|2
---@return number|lstm.Array
function Array:min(axis) end
---The largest of all; with axis 1 that of each column, with axis 2 that of each row.
---@param axis? 1|2
---@return number|lstm.Array
function Array:max(axis) end
---Where the largest number is, from 1, and what it is.
---@return integer place, number value
function Array:argmax() end
---Whether there is neither a NaN nor an infinity.
---@return boolean finite, integer? place of the first NaN or infinity
function Array:finite() end
---The sine of each number, a new array.
---@return lstm.Array
function Array:sin() end
---The cosine of each number, a new array.
---@return lstm.Array
function Array:cos() end
---e to the power of each number, a new array.
---@return lstm.Array
function Array:exp() end
---The natural logarithm of each number, a new array.
---@return lstm.Array
function Array:log() end
---The square root of each number, a new array.
---@return lstm.Array
function Array:sqrt() end
---The absolute value of each number, a new array.
---@return lstm.Array
function Array:abs() end
---The next lower whole number of each number, a new array.
---@return lstm.Array
function Array:floor() end
---1 where an element is less than that of b, else 0.
---@param b lstm.Array|number
---@return lstm.Array
function Array:less(b) end
---1 where an element is greater than that of b, else 0.
---@param b lstm.Array|number
---@return lstm.Array
function Array:greater(b) end
---1 where an element equals that of b, else 0.
---@param b lstm.Array|number
---@return lstm.Array
function Array:equal(b) end
---Elements of a where this array is not 0, else those of b.
---@param a lstm.Array|number
---@param b lstm.Array|number
---@return lstm.Array
function Array:where(a, b) end
---Row i is the old row i - n: shift(1) is the row before. At the ends the outermost row is repeated.
---@param n integer
---@return lstm.Array
function Array:shift(n) end
---Row i is the sum of rows 1..i.
---@return lstm.Array
function Array:cumsum() end
---Row i is the mean of the last n rows, of fewer at the beginning.
---@param n integer
---@return lstm.Array
function Array:rolling(n) end
---A sorted copy of an array [n]; NaN comes last.
---@return lstm.Array
function Array:sort() end

---An array of a list of numbers, or of lists of lists: lstm.array{{1, 2}, {3, 4}}. Raises where rows differ in length.
---@param values number|table nested tables of one shape
---@param kind? lstm.Kind
---@return lstm.Array
function lstm.array(values, kind) end
---An array of zeros: lstm.zeros(100), lstm.zeros{100, 2}.
---@param shape integer|integer[]
---@param kind? lstm.Kind
---@return lstm.Array
function lstm.zeros(shape, kind) end
---An array of numbers as they are in memory, little-endian.
---@param bytes string
---@param kind? lstm.Kind
---@param shape? integer[]
---@return lstm.Array
function lstm.frombytes(bytes, kind, shape) end

---The bytes of a file as a string.
---@param path string
---@return string? bytes, string? message, string? status
function lstm.readfile(path) end
---The file appears whole or not at all.
---@param path string
---@param bytes string
---@return true?, string? message, string? status
function lstm.writefile(path, bytes) end
---The names of what is in a folder, sorted.
---@param path string
---@return string[]? names, string? message, string? status
function lstm.folder(path) end

-- --- data ------------------------------------------------------------------------------------------------------------

---A text as numbers, made by vocab:encode. `#tokens`: how many.
---@class lstm.Tokens
---@field kind "tokens"
---@field ids lstm.Array int32 or uint8 [n], from 0
---@field vocab lstm.Vocab
local Tokens = {}
---Cuts by position: split(0.9) gives the first 90 % and the rest, split(0.8, 0.1) three parts. The parts are views.
---Raises for fractions that are not between 0 and 1 or leave nothing for a part.
---@param ... number
---@return lstm.Tokens ...
function Tokens:split(...) end
---Tokens from..to as a view: from 1, both included; negative counts from the end. Raises where there are none.
---@param from integer
---@param to? integer default: the last one
---@return lstm.Tokens
function Tokens:slice(from, to) end
---for x, y, extra in tokens:batches{batch = 32, seq = 64} do: the text as streams side by side, int32 [seq][batch], y
---one token later; extra: {reset = true} for the first. Raises for too few tokens.
---@param options? {batch: integer, seq: integer}
---@return fun(): lstm.Array?, lstm.Array, table
function Tokens:batches(options) end
---The tokens as text.
---@return string text
function Tokens:decode() end

---The sorted symbols of a text. Number i has the id i - 1. `#vocab`: how many; `==` compares the symbols.
---@class lstm.Vocab
---@field kind "bytes"|"utf8"|"words"
---@field symbols string[]
---@field ids table<string, integer> ids from 0, by symbol
---@field unknown string what stands for other symbols: "error", "skip" or one of the symbols
local Vocab = {}
---How many symbols there are.
---@return integer
function Vocab:size() end
---The ids of a text. Raises for an empty text and, where unknown = "error", for a symbol that is not there, with its
---place.
---@param text string
---@return lstm.Tokens
function Vocab:encode(text) end
---The text of ids. Raises for an id outside 0..size - 1.
---@param ids lstm.Array|integer[]|lstm.Tokens int32 array [n] or a list, from 0
---@return string
function Vocab:decode(ids) end
---The symbol of an id. Raises for an id outside 0..size - 1.
---@param id integer from 0
---@return string
function Vocab:symbol(id) end
---The id (from 0) of a symbol; nil where the vocabulary does not have it.
---@param symbol string
---@return integer?
function Vocab:id(symbol) end
---A copy of the list of symbols: pieces()[id + 1].
---@return string[]
function Vocab:pieces() end
---The vocabulary as one string; lstm.vocab.frommeta reads it.
---@return string
function Vocab:tometa() end

---Options of split: by = "time" (default: cuts, the parts are views), "random", or, for sequences with labels,
---"stratified" (each part has its share of each label). seed: default: the next one after lstm.seed.
---@class lstm.SplitOptions
---@field by? "time"|"random"|"stratified"
---@field seed? integer

---Options of folds. by: "random" (each element is measured once), "stratified" (the same, with each label in its share:
---the default for sequences with labels) or "expanding" (fold i learns from the first i of k + 1 blocks and is measured
---on the next: the default for tables and windows).
---@class lstm.FoldOptions
---@field by? "random"|"stratified"|"expanding"
---@field seed? integer

---Options of batches.
---@class lstm.BatchesOptions
---@field batch? integer elements in a batch (default 32); the last one may be smaller
---@field shuffle? boolean in random order (default false)
---@field seed? integer

---Rows in the order of time, with named columns. `#rows`: how many.
---@class lstm.Table
---@field kind "table"
---@field data lstm.Array float32 [N][width]
---@field columns string[]
---@field width integer
---@field scaler? lstm.Scaler that scaled the rows
---@field header? boolean of lstm.csv: whether the first line was taken for names
local Table = {}
---split(0.8) gives the first 80 % of the rows and the rest, split(0.7, 0.15) three parts. By time the parts are views.
---Raises for fractions that are not between 0 and 1 or leave nothing for a part.
---@param ... number|lstm.SplitOptions the options come last
---@return lstm.Table ...
function Table:split(...) end
---Cross-validation: for fold, train, validation in rows:folds(5) do.
---@param k integer
---@param options? lstm.FoldOptions
---@return fun(): integer?, lstm.Table, lstm.Table
function Table:folds(k, options) end
---A copy of the rows with these numbers. Raises for numbers that are not there.
---@param numbers integer[]|lstm.Array from 1
---@return lstm.Table
function Table:pick(numbers) end
---The text in row i of a column that lstm.csv read with the option `text`. Raises for other names and rows.
---@param name string
---@param i integer
---@return string
function Table:text(name, i) end
---All texts of such a column.
---@param name string
---@return string[]
function Table:texts(name) end
---A new table with one more column, or with this one replaced. Raises where f returns no array with a number for each
---row, and for rows that are scaled.
---@param name string
---@param f fun(rows: lstm.Table): lstm.Array [N] or [N][1]
---@return lstm.Table
function Table:derive(name, f) end
---A new table of these columns, in this order. Raises for names that are not there.
---@param names string[]
---@return lstm.Table
function Table:select(names) end
---Rows from..to as a view: from 1, both included; negative counts from the end. Raises where there are no such rows.
---@param from integer
---@param to? integer default: the last row
---@return lstm.Table
function Table:slice(from, to) end
---A copy of one column. Raises for a name that is not there.
---@param name string
---@return lstm.Array [N]
function Table:column(name) end

---Options of rows:windows.
---@class lstm.WindowsOptions
---@field look_back integer rows of input in each window
---@field ahead? integer the first target is that many rows after the last row of input (default 1)
---@field steps? integer rows of targets (default 1)
---@field target? string|string[] names of the columns to predict (default: all columns)
---@field stride? integer rows from one window to the next (default 1)
---@field before? lstm.Table the rows before these, same columns: their last rows serve as input

---The windows that slide over the rows. Raises for unknown options, an unknown target, and too few rows for one window.
---@see lstm.csv
---@param options lstm.WindowsOptions
---@return lstm.Windows
function Table:windows(options) end

---Windows over a table, made by rows:windows. `#windows`: how many.
---@class lstm.Windows
---@field kind "windows"
---@field data lstm.Array the rows [N][width]
---@field columns string[]
---@field look_back integer
---@field ahead integer
---@field steps integer
---@field stride integer
---@field width integer inputs of each row
---@field target? string|string[] as it was given
---@field target_columns string[] names of the columns to predict
---@field outputs integer numbers to predict: steps * #target_columns
---@field scaler? lstm.Scaler that scaled the rows
local Windows = {}
---What should be predicted, in the order of the windows: the targets of the first step, then those of the next.
---@return lstm.Array [n][outputs]
function Windows:targets() end
---The last row of input of each window, once for each step. As a prediction this is persistence, "the same as now".
---Raises for a name that is not there.
---@param name? string default: the targets
---@return lstm.Array [n][outputs]; with a name [n][steps]
function Windows:last(name) end
---Cuts by time, as a table's split. With steps or ahead above 1 the targets of neighbouring parts overlap: cut the rows
---instead, and give the next part `before`, to keep them apart.
---@param ... number|lstm.SplitOptions the options come last
---@return lstm.Windows ...
function Windows:split(...) end
---As a table's folds. Expanding, with steps or ahead above 1: windows whose targets are not known yet when the first one
---that is measured looks ahead are left out of what is learnt from.
---@param k integer
---@param options? lstm.FoldOptions
---@return fun(): integer?, lstm.Windows, lstm.Windows
function Windows:folds(k, options) end
---The windows with these numbers, as a view of the same rows. Raises for numbers that are not there.
---@param numbers integer[]|lstm.Array from 1
---@return lstm.Windows
function Windows:pick(numbers) end
---for x, y in windows:batches{batch = 32, shuffle = true} do: x [look_back][B][width], y [B][outputs].
---@param options? lstm.BatchesOptions
---@return fun(): lstm.Array?, lstm.Array
function Windows:batches(options) end
---Windows from..to as a view: from 1, both included; negative counts from the end. Raises where there are none.
---@param from integer
---@param to? integer default: the last window
---@return lstm.Windows
function Windows:slice(from, to) end
---Fills a batch: fit, predict and evaluate call this. Raises for numbers or shapes that do not fit.
---@param indices lstm.Array int32 [B], numbers of windows from 0
---@param x lstm.Array? [look_back][B][width]
---@param y lstm.Array? [B][outputs]
function Windows:gather(indices, x, y) end

---What lstm.minmax and lstm.zscore measured: each column becomes (x - offset) / factor.
---@class lstm.Scaler
---@field kind "minmax"|"zscore"
---@field columns string[]
---@field offset table<string, number>
---@field factor table<string, number>
local Scaler = {}
---A scaled copy, with the field `scaler`. Columns are matched by name. Raises for a column that the scaler does not
---know, and for what is scaled already.
---@generic T: lstm.Table|lstm.Sequences|lstm.Windows
---@param set T
---@return T
function Scaler:apply(set) end
---Scaled values back in their own unit. Raises for a column that the scaler does not know.
---@param array lstm.Array|lstm.Table of any shape; with a list the last axis holds one number of each column, or steps
---of them
---@param columns? string|string[] may be left out where there is only one, and for a table
---@return lstm.Array|lstm.Table of the same shape
function Scaler:undo(array, columns) end
---The scaler as one string. A scaler in model.meta travels in the model's file by itself.
---@return string
function Scaler:tometa() end

---The vocabulary of a text: lstm.vocab(text, kind): its distinct bytes ("bytes", the default), code points ("utf8") or
---words ("words": with "\n" for the end of a line). least: symbols that occur less often are left out. unknown: what
---stands for all others, and for what is no UTF-8: "error" (default for bytes and utf8), "skip", or a symbol (default
---for words: "<unknown>"). Raises for an empty text, and for "utf8" where the text is none, with the place.
---@class lstm.vocabs
---@overload fun(text: string, kind?: "bytes"|"utf8"|"words", options?: {least: integer, unknown: string}): lstm.Vocab
lstm.vocab = {}
---As lstm.text.
---@param path string
---@param kind? "bytes"|"utf8"|"words"|lstm.Vocab
---@param options? {least: integer, unknown: string}
---@return lstm.Vocab? vocab, lstm.Tokens|string|nil tokens, string? status
function lstm.vocab.text(path, kind, options) end
---The vocabulary of a file, or the one given, and its tokens. The file is read in pieces: neither text nor ids get into
---Lua's heap; an id takes one byte where the vocabulary has at most 256 symbols. nil, message, status for a file that
---cannot be read, is empty, or has what the vocabulary has not.
---@param path string
---@param kind? "bytes"|"utf8"|"words"|lstm.Vocab
---@param options? {least: integer, unknown: string}
---@return lstm.Vocab? vocab, lstm.Tokens|string|nil tokens, string? status
function lstm.text(path, kind, options) end
---The vocabulary of a string made by vocab:tometa.
---@param text string
---@return lstm.Vocab?, string? message, string? status "format"
function lstm.vocab.frommeta(text) end
---Whether a value is a vocabulary.
---@param value any
---@return boolean
function lstm.vocab.is(value) end

---Options of lstm.csv.
---@class lstm.CsvOptions
---@field columns? string[] names of the columns to read (default: every column of numbers)
---@field missing? "error"|"interpolate"|"drop"|"fill" for an empty cell, NA, NaN, null, none or ? (default "error")
---@field fill? number with missing = "fill" (default 0)
---@field text? string[] columns that are kept as text, for rows:text(name, i)
---@field dates? table<string, string|string[]> {Date = part}: "days" since 1970-01-01, "year", "month", "day", "weekday"
---(1 is Monday), "yearday", "hour", "seconds" of the day; a list makes columns "Date.month", ...; "days dmy" or "days
---mdy" tells what 3/4/2020 is
---@field separator? ","|";"|"\t"|"|" default: the one that the first line uses most
---@field decimal? "."|"," the sign in numbers (default: what the first rows use; "." where commas separate)
---@field header? boolean default: false only where the first line is all numbers; columns are then "1", "2", ...

---A table from a file of comma separated values: lstm.csv(path, options). Returns nil, message, status ("io",
---"format") for a file that cannot be read or has a wrong cell, with its line and column. Raises for unknown options.
---```lua
---rows = lstm.csv("sales.csv", {columns = {"sales"}})   -- nil, message where the file cannot be read
---train, test = rows:split(0.8)                         -- the first 80 % and the rest
---scaler = lstm.minmax(train)                           -- measured on the training part only
---windows = scaler:apply(train):windows{look_back = 14}
---m = lstm.model{input = 1, hidden = 16, output = 1}
---m:fit(windows, {epochs = 50})
---m:predict(test)                                       -- of raw rows, in their own unit
---m:forecast(rows, 7)                                   -- the next 7 rows
---```
---@class lstm.csvs
---@overload fun(path: string, options?: lstm.CsvOptions): lstm.Table?, string?, string?
lstm.csv = {}
---The same from text. name: what messages call it (default "csv").
---@param text string
---@param options? lstm.CsvOptions
---@param name? string
---@return lstm.Table?, string? message, string? status "format"
function lstm.csv.parse(text, options, name) end

---A table from numbers, which are not copied. Raises where names and columns differ in number.
---@param data lstm.Array|table [N][W], or [N] for one column
---@param columns? string[] default "1", "2", ...
---@return lstm.Table
function lstm.table(data, columns) end
---Maps the smallest value of each column to 0 and the largest to 1. Measure the training part only, apply it to all.
---Raises for anything but a table of finite numbers.
---@see lstm.csv
---@param set lstm.Table|lstm.Sequences
---@return lstm.Scaler
function lstm.minmax(set) end
---Gives each column the mean 0 and the standard deviation 1. Raises for anything but a table of finite numbers.
---@param set lstm.Table|lstm.Sequences
---@return lstm.Scaler
function lstm.zscore(set) end
---Root of the mean squared difference of two arrays of one shape.
---@param a lstm.Array
---@param b lstm.Array
---@return number
function lstm.rmse(a, b) end

---`#object`, also for the tables of this module in Lua 5.1 and LuaJIT, where `#` does not ask them: tokens, tables,
---windows, sequences, vocabularies.
---@param object any
---@return integer
function lstm.len(object) end

---Counts of targets by class: of the truth (rows) and of the guess (columns). tostring: a table, or of more than 20
---classes the most frequent mistakes. `#confusion`: how many classes.
---@class lstm.Confusion
---@field labels (string|number)[]
---@field counts lstm.Array int32 [K][K]
local Confusion = {}
---How many targets were counted.
---@return number
function Confusion:total() end
---The share of right guesses.
---@return number share of right guesses
function Confusion:accuracy() end
---The share of right ones among the guesses of a label; NaN without any. Raises for an unknown label.
---@param label string|number
---@return number
function Confusion:precision(label) end
---The share of a label's targets that were found; NaN without any. Raises for an unknown label.
---@param label string|number
---@return number
function Confusion:recall(label) end
---Of one label, or the mean over the labels that occur.
---@param label? string|number
---@return number
function Confusion:f1(label) end

---Figures of a truth and a guess; the truth comes first.
---@class lstm.metricss
lstm.metrics = {}
---Root of the mean squared error.
---@param truth lstm.Array
---@param guess lstm.Array of the same shape
---@return number
function lstm.metrics.rmse(truth, guess) end
---Mean absolute error.
---@param truth lstm.Array
---@param guess lstm.Array of the same shape
---@return number
function lstm.metrics.mae(truth, guess) end
---The sum of squared errors over the sum of the truth's squares.
---@param truth lstm.Array
---@param guess lstm.Array of the same shape
---@return number
function lstm.metrics.esr(truth, guess) end
---The share of right guesses.
---@param truth any[]|lstm.Array a list of labels or numbers, or an int32 array; false: no target
---@param guess any[]|lstm.Array
---@return number
function lstm.metrics.accuracy(truth, guess) end
---Of the class `positive`, or the mean over the classes that occur.
---@param truth any[]|lstm.Array
---@param guess any[]|lstm.Array
---@param positive? any
---@return number
function lstm.metrics.f1(truth, guess, positive) end
---exp of the mean -log p of the true classes.
---@param truth integer[]|lstm.Array classes from 1
---@param probabilities lstm.Array [N][K]
---@return number
function lstm.metrics.perplexity(truth, probabilities) end
---How often each label was guessed for each other.
---@param truth any[]|lstm.Array
---@param guess any[]|lstm.Array
---@param labels? any[] their order (default: those that occur, sorted)
---@return lstm.Confusion
function lstm.metrics.confusion(truth, guess, labels) end

---A set of sequences of different length, made by lstm.sequences. `#set`: how many.
---@class lstm.Sequences
---@field kind "sequences"
---@field x any[] arrays, tokens or strings
---@field y? any[]|lstm.Array
---@field labels? string[] the different strings among the targets, sorted
---@field scaler? lstm.Scaler that scaled the sequences
local Sequences = {}
---split(0.9) gives the first 90 % and the rest.
---@param ... number|lstm.SplitOptions the options come last
---@return lstm.Sequences ...
function Sequences:split(...) end
---Cross-validation: for fold, train, validation in set:folds(5) do.
---@param k integer
---@param options? lstm.FoldOptions
---@return fun(): integer?, lstm.Sequences, lstm.Sequences
function Sequences:folds(k, options) end
---The sequences with these numbers. Raises for numbers that are not there.
---@param numbers integer[]|lstm.Array from 1
---@return lstm.Sequences
function Sequences:pick(numbers) end
---for x, y, extra in set:batches{batch = 32, shuffle = true} do: x [T][B][W] or ids [T][B], padded with zeros; y:
---numbers of labels (from 0) [B], or [B][k], or as x where each step has a target; extra: {lengths = int32 [B]}.
---@param options? lstm.BatchesOptions
---@return fun(): lstm.Array?, lstm.Array?, table
function Sequences:batches(options) end
---Adds a sequence, and its target where the others have one.
---@param x any
---@param y? any
---@return lstm.Sequences self
function Sequences:add(x, y) end
---Sequences from..to: from 1, both included; negative counts from the end. Raises where there are none.
---@param from integer
---@param to? integer default: the last one
---@return lstm.Sequences
function Sequences:slice(from, to) end

---A set of sequences for fit, predict, classify and evaluate. x: a list of arrays [T][I], [T] (one input) or of ids
---[T], tables of such numbers, tokens, or, where the model has a vocabulary, strings. y: a list of one label, class
---number from 1 or row for each, or of an array or list with one for each step; false for a class: no target there.
---labels: all that there are, where not all occur in y.
---@param options {x: any[]|lstm.Array|nil, y: any[]|lstm.Array|nil, labels: string[]|nil}
---@return lstm.Sequences
function lstm.sequences(options) end
---The sequences of a `.ts` file (the archives of UEA and UCR), with their labels in the order of the file.
---@param path string
---@return lstm.Sequences?, string? message, string? status
function lstm.ts(path) end
---The array of a NumPy file in C order: f4, f8 (rounded to float32), i4, i8 (where it fits an int32) or u1.
---@param path string
---@return lstm.Array?, string? message, string? status
function lstm.npy(path) end
---A file for numpy.load.
---@param path string
---@param array lstm.Array
---@return true?, string? message, string? status
function lstm.writenpy(path, array) end
---The sound in a WAV file, [frames][channels] between -1 and 1, and its samples per second: PCM of 8, 16, 24 or 32 bits
---(x / 2^(bits - 1); of 32 bits a float32 keeps 24) and float of 32 or 64, also extensible.
---@param path string
---@return lstm.Array? sound, integer|string|nil rate, string? status
function lstm.wav(path) end
---A WAV file of sound [frames] or [frames][channels]. bits 16 (default), 8 or 24: PCM, rounded to the nearest, without
---dither; what is beyond -1 and 1 is cut off, NaN is 0. bits 32: float, as it is.
---@param path string
---@param array lstm.Array
---@param rate integer samples per second
---@param options? {bits: 8|16|24|32}
---@return true?, string? message, string? status
function lstm.writewav(path, array, rate, options) end
---The tensors of a .safetensors file by name, and its metadata: F32, F16, BF16, F64, I32, I64 (where it fits) and U8.
---@param path string
---@return table<string, lstm.Array>? tensors, table<string, string>|string|nil metadata, string? status
function lstm.safetensors(path) end
---The numbers of a file that has nothing else, little-endian. shape: the first size may be -1; offset: bytes to skip.
---@param path string
---@param options? {kind: "float32"|"float64"|"int32"|"int64"|"uint8", shape: integer[], offset: integer}
---@return lstm.Array?, string? message, string? status
function lstm.raw(path, options) end

-- --- models ----------------------------------------------------------------------------------------------------------

---A layer for lstm.model, made by lstm.embedding, lstm.lstm, lstm.gru, lstm.dense or lstm.dropout.
---@class lstm.Layer

---esr: the error-to-signal ratio of sound, behind a pre-emphasis (see FitOptions)
---@alias lstm.Loss "mse"|"mae"|"huber"|"esr"|"cross_entropy"|"binary_cross_entropy"
---@alias lstm.Read "all"|"last"|"mean"|"max"
---@alias lstm.Activation "linear"|"tanh"|"sigmoid"|"relu"|"hard_sigmoid"|"softsign"

---Options of lstm.model.
---@class lstm.ModelOptions
---@field input integer|lstm.Vocab numbers per step, or the vocabulary of the tokens
---@field output? integer|lstm.Vocab|string[] numbers, a vocabulary, or labels: adds a linear layer; default: none
---@field hidden? integer|integer[] short form: LSTM cells, or those of each layer
---@field layers? integer short form: repeats hidden (default 1)
---@field dropout? number short form: share of values dropped after each layer (default 0)
---@field embedding? integer short form: columns of the table for a vocabulary (default 64, or its size where smaller)
---@field read? lstm.Read of the last recurrent layer: default "all" where output is a vocabulary, the loss "esr" or the
---last layer residual, else "last"
---@field loss? lstm.Loss default "cross_entropy" where output is a vocabulary or labels, else "mse"
---@field init? "default"|"pytorch"|"zero"|lstm.Model how weights begin (default "default"), or a model to copy them from
---@field seed? integer of the weights; default: the next one after lstm.seed
---@field isa? string instruction set (default: the best that lstm.isa allows)
---@field numerics? "fused"|"portable" portable: the same bits on every machine, also without fused operations; slower
---@field meta? table what travels in the file: strings, numbers, booleans, vocabularies, scalers, tables of these
---@field [integer] lstm.Layer explicit form: the layers

---f1: of classes the mean over those that occur, of binary outputs that of the positive side; esr: the sum of squared
---errors over the sum of squared targets, as for audio.
---@alias lstm.Metric "accuracy"|"perplexity"|"rmse"|"mae"|"f1"|"esr"

---The options of fit. Classes in data are labels or numbers from 1, as classify gives them; ids of tokens are from 0, and
---so are the classes that trainer:train and trainer:evaluate take as arrays.
---@class lstm.FitOptions
---@field validation? any data of the same kind as train, to measure on (default: none)
---@field validate_every? integer steps between two looks (default: once an epoch; a text also ten times in a run)
---@field seq? integer texts: tokens that a gradient reaches back (default 64)
---@field batch? integer sequences, or streams of a text, in each step (default 32)
---@field steps? integer length of the run in steps, instead of epochs; with resume the total
---@field epochs? number length of the run (default 10); with resume the total, from the beginning of the first run
---@field seconds? number stops after so long (default: never)
---@field optimizer? "adam"|"adamw"|"rmsprop"|"sgd" default "adam"
---@field lr? number learning rate (default 0.001; sgd, rmsprop 0.01)
---@field momentum? number with sgd or rmsprop (default 0)
---@field nesterov? boolean with sgd and a momentum (default false)
---@field beta1? number with adam or adamw (default 0.9)
---@field beta2? number with adam or adamw (default 0.999)
---@field alpha? number with rmsprop (default 0.99)
---@field epsilon? number not with sgd (default 1e-8)
---@field weight_decay? number default 0; adamw 0.01
---@field clip? number largest norm of all gradients (default 5); 0: any
---@field clip_value? number largest gradient of each weight (default 0: any)
---@field schedule? "step"|"exponential"|"cosine" how lr falls
---@field schedule_steps? integer updates
---@field schedule_factor? number step 0.1, exponential 0.999, cosine 0
---@field warmup? integer updates in which lr rises to its full value (default 0)
---@field loss? lstm.Loss default: the model's
---@field huber_delta? number default 1
---@field pre_emphasis? number of the loss "esr": a of p(s)[t] = s[t] - a s[t-1] (default 0.95); 0: none, as the metric
---@field label_smoothing? number default 0
---@field class_weights? number[]|table<string, number>|lstm.Array for all classes, or for some by label
---@field burn_in? integer first steps of a window that only warm up the state (default 0)
---@field freeze? integer[] numbers of the layers, from 1, whose weights stay
---@field layer_rates? number[]|lstm.Array what the lr of each layer is multiplied by
---@field bucket? boolean sequences of similar length together (default false)
---@field shuffle? boolean sets in a new order each epoch (default true)
---@field seed? integer of order and dropout; default: the next one after lstm.seed, or that of the run that is resumed
---@field threads? integer default: as lstm.threads
---@field checkpoint? string file to save the run in, at each look and at the end
---@field resume? string|boolean the checkpoint to go on from; true: that of `checkpoint`, where there is one.
---Where that run has ended already, its best weights are back and nothing is trained
---@field patience? integer stops after so many looks without an improvement (default: never)
---@field min_delta? number what counts as one (default 0)
---@field monitor? "val_loss"|"loss"|"norm"|lstm.Metric decides which weights are best (default "val_loss", or "loss")
---@field mode? "auto"|"min"|"max" the direction of the monitor, which is known: a wrong one is refused
---@field restore_best? boolean brings the best weights back at the end (default true)
---@field plateau? boolean|{factor: number, patience: integer, min_lr: number} lr falls where nothing improves
---@field accumulate? integer batches whose gradients make one step (default 1); steps, epochs and schedules count steps
---@field init? lstm.Model|lstm.Seq2seq|string a model or its file: the weights to begin with
---@field csv? string file for the history, a line more at each look
---@field metrics? lstm.Metric[] also measured on the validation data (of classes the accuracy always is)
---@field verbose? 0|1|2 0 silent, 1 a progress line (default), 2 also a line for each look
---@field title? string of the progress line
---@field on_epoch? fun(row: lstm.Row, history: lstm.History, trainer: lstm.Trainer): boolean? at each look; false stops
---@field on_step? fun(info: table, trainer: lstm.Trainer): boolean? after each step; false stops

---What stands between raw rows and a model: predict and forecast do it by themselves.
---@class lstm.Pipeline
---@field columns? string[] of the rows that the model reads, in its order
---@field look_back? integer
---@field ahead? integer
---@field steps? integer
---@field targets? string[]
---@field scaler? lstm.Scaler

---A network and what it learned, made by lstm.model or lstm.load. tostring: its layers.
---@class lstm.Model
---@field loss lstm.Loss
---@field vocab? lstm.Vocab
---@field output_vocab? lstm.Vocab
---@field labels? string[]
---@field meta table
---@field pipeline? lstm.Pipeline what stands between raw data and the model; fit learns it, the file keeps it
---@field assumed? string
local Model = {}
---Trains the model and brings the best weights back, however the run ends. nil, message, status and the history so far
---where the world stops it ("interrupted", "not_finite", "io", ...). Raises for mistakes.
---@see lstm.csv
---@param train any tokens, windows, sequences, or {x =, y =}; padded arrays may have lengths and weights
---@param options? lstm.FitOptions
---@return lstm.History?, string? message, string? status, lstm.History? partial
function Model:fit(train, options) end
---A clone that learns a slice at a time, for what may not stop (a game): the weights that fit would give. This call
---looks at all data once, which may take 10 ms for 1,000 sequences: make lessons where there is time for that. nil,
---message, status for data that cannot be learned.
---@param train any as for fit
---@param options? lstm.FitOptions without accumulate, checkpoint, csv, resume, seconds, threads, title and verbose
---@return lstm.Lesson?, string? message, string? status
function Model:lesson(train, options) end
---Outputs. Of a raw table of rows: in the targets' own units; raw sequences are scaled as those that it learned from.
---Arrays of many sequences, and for a model of windows all arrays, are taken as they are: scaled in, scaled out.
---@param data any a raw table, windows, sequences, a string, tokens, arrays
---@param options? {batch: integer}
---@return lstm.Array|lstm.Array[] a list for sequences of different length that are read at every step
function Model:predict(data, options) end
---The n rows after those of a raw table, in the targets' own units; the model reads its own outputs where it must.
---@param rows lstm.Table
---@param n integer
---@param options? {known: lstm.Table} the future of the columns that the model reads and does not foretell
---@return lstm.Table
function Model:forecast(rows, n, options) end
---The likeliest class of each output of predict (a label, a symbol, or its number from 1; 0 and 1 of a single
---probability), and its probability: for a single sequence one of each. With top: {label =, p =} of the k likeliest.
---@param data any as for predict; a string is one sequence
---@param options? {batch: integer, top: integer}
---@return any labels, lstm.Array|number|lstm.Array[]|nil probabilities
function Model:classify(data, options) end
---What the cells of a recurrent layer do on one sequence: arrays [T][H] by the names of the gates.
---@param data any one sequence: a string, an array [T][I], [T] (one input) or of ids [T], tokens, or a set of one
---@param options? {layer: integer|"all"} "all": a list of traces, one for each recurrent layer
---@return lstm.Trace|lstm.Trace[]
function Model:trace(data, options) end
---The mean loss on data with targets, the accuracy of classes, and each metric by its name.
---@param data any
---@param options? {batch: integer, loss: lstm.Loss, metrics: lstm.Metric[]}
---@return {loss: number, count: number, accuracy: number?, [lstm.Metric]: number?}
function Model:evaluate(data, options) end
---How often each class was taken for each other on data with targets. Raises where the loss is not for classes.
---@param data any
---@param options? {batch: integer}
---@return lstm.Confusion
function Model:confusion(data, options) end
---Options of generate and sample.
---@class lstm.GenerateOptions
---@field prime? string the text to go on from (default: none)
---@field length? integer symbols to draw (default 400)
---@field temperature? number default 1; 0: always the likeliest
---@field top_k? integer only so many of the likeliest
---@field top_p? number only the likeliest that together have this probability, before the temperature
---@field stop? string|string[] writing ends before the first of them
---@field seed? integer default: the next one after lstm.seed
---@field state? lstm.State of this model, to go on from

---Writes on: an iterator over pieces of text, prime first.
---@param options? lstm.GenerateOptions
---@return fun(): string?
function Model:generate(options) end
---All that generate gives, as one string.
---@param options? lstm.GenerateOptions
---@return string
function Model:sample(options) end
---A state to step through a sequence by hand; lanes: so many sequences side by side (default 1).
---@param lanes? integer
---@return lstm.State
function Model:state(lanes) end
---A state that forward_batch and evaluate take a batch of so many sequences with.
---@param lanes integer
---@return lstm.State
function Model:batch_state(lanes) end
---A training run of the caller's own, step by step; the options are those of fit that concern a step.
---@param options? table
---@return lstm.Trainer
function Model:trainer(options) end
---Writes the model to a file that lstm.load, and other readers of safetensors, understand.
---@param path string
---@return true?, string? message, string? status
function Model:save(path) end
---What save would write, as a string; lstm.load{data = bytes} reads it.
---@return string
function Model:bytes() end
---The strings that travel in the model's file.
---@return table<string, string>
function Model:strings() end
---A copy with weights of its own.
---@return lstm.Model
function Model:clone() end
---How many numbers are learned.
---@return integer
function Model:parameters() end
---The names of the tensors, for model:tensor.
---@return string[]
function Model:tensors() end
---A copy of a tensor; with an array, sets it: model:tensor("embed.weight", vectors) puts given embeddings in.
---@param name string
---@param value? lstm.Array
---@return lstm.Array?
function Model:tensor(name, value) end
---The instruction set that it runs with.
---@return string
function Model:isa() end
---How it calculates: "fused" or "portable".
---@return "fused"|"portable"
function Model:numerics() end
---The number of a label or symbol of the output, from 1; nil where there is none.
---@param label string
---@return integer?
function Model:index(label) end
---The label or symbol of an output, by its number from 1; the number where it has none.
---@param i integer
---@return string|integer
function Model:label(i) end
---Frees the memory now, not when it is collected.
function Model:close() end

---Where a model stands in a sequence, made by model:state.
---@class lstm.State
local State = {}
---Numbers, or a list of them, in, numbers out; an array in, an array out; a symbol or its number in, probabilities out.
---@param ... number|number[]|string|lstm.Array
---@return any ...
function State:step(...) end
---One step of some lanes alone, none of them twice: x [n][I], or ids [n], gives y [n][O]. The others stay.
---@param lanes lstm.Array int32 [n], numbers from 1
---@param x lstm.Array
---@return lstm.Array y
function State:step_lanes(lanes, x) end
---One token in, without looking at the output.
---@param id integer from 0
function State:feed(id) end
---The output of the last step.
---@return lstm.Array
function State:output() end
---The likeliest label or symbol of the last step, and its probability.
---@param lane? integer
---@return string|integer label, number probability
function State:best(lane) end
---The place of the largest output of the last step, from 1, and the value.
---@param lane? integer
---@return integer place, number value
function State:argmax(lane) end
---Draws one of the outputs of the last step.
---@param temperature number
---@param rng lstm.Rng
---@param top_k? integer
---@param top_p? number
---@return integer place, number probability
function State:sample(temperature, rng, top_k, top_p) end
---Its first lanes become these of another state of the model, numbers from 1.
---@param other lstm.State
---@param lanes lstm.Array int32 [n]
---@return lstm.State self
function State:take(other, lanes) end
---A sequence, or a block of one that goes on: blocks of any size give the same bits as the whole. A bidirectional model
---takes it whole. y: an array to write into, for loops that make no garbage. A reset without a pop, for sound: feed
---silence until the output stays where it is, keep state:save(), and state:restore it instead of state:reset().
---@param x lstm.Array
---@param y? lstm.Array
---@return lstm.Array y
function State:forward(x, y) end
---Sequences side by side, as the batches of fit: [T][B][I] or ids [T][B].
---@param x lstm.Array
---@param options? table
---@return lstm.Array
function State:forward_batch(x, options) end
---The loss on a batch. Returns sums.
---@param x lstm.Array
---@param y lstm.Array
---@param loss lstm.Loss
---@param options? table
---@return number loss, number weight, number targets, number correct
function State:evaluate(x, y, loss, options) end
---Back to the model's initial state: learned, else zero.
---@param lane? integer
---@return lstm.State self
function State:reset(lane) end
---From now on records what the cells of a layer do in a lane; false: no more.
---@param options? {layer: integer, lane: integer, steps: integer}|false default: first recurrent layer, lane 1, 1000
---@return lstm.State self
function State:trace(options) end
---What was recorded.
---@return lstm.Trace
function State:traced() end
---What the cells hold, of one lane or of all.
---@param lane? integer
---@return lstm.Array
function State:values(lane) end
---Sets what the cells hold, as values gave it.
---@param values lstm.Array
---@param lane? integer
---@return lstm.State self
function State:set_values(values, lane) end
---How many sequences go side by side.
---@return integer
function State:lanes() end
---A copy that goes its own way.
---@return lstm.State
function State:clone() end
---All lanes as a string, for a saved game or to go back: restore brings it back. Of this version and kind of machine.
---@return string
function State:save() end
---The same as save.
---@return string
function State:bytes() end
---Brings back what save gave; nil, message, status where it is of another model or number of lanes: nothing changes.
---@param bytes string
---@return true?, string? message, string? status
function State:restore(bytes) end
---Whose state it is.
---@return lstm.Model
function State:model() end
---Goes on under another model of the same layers, also in what they read, as one that was trained further.
---@param model lstm.Model
---@return lstm.State self
function State:use(model) end
---Frees the memory now, not when it is collected.
function State:close() end

---A model that learns in slices, made by model:lesson. tostring: how far it is.
---@class lstm.Lesson
---@field model lstm.Model the clone: to be used when the lesson is done, not while it runs
---@field loss? number of the last step
---@field history? lstm.History when it is done
---@field stopped? string when it is done: why, as the history's; "closed", or "error" of a callback
local Lesson = {}
---Works for at most so long (math.huge: to the end), to a tile of a step or a few sequences of the validation, but does
---at least one of these (one validation sequence is never cut). Not from a callback of the lesson, as close. True when
---the lesson is done; nil, message, status where the world stops it ("not_finite", "interrupted"), or ("error") after the
---call that raised a callback's error.
---@param seconds number
---@return boolean? done, string? message, string? status
function Lesson:run(seconds) end
---How much is done, 0 to 1: 1 when the lesson is done; a lesson that is closed or fails stays where it was.
---@return number
function Lesson:progress() end
---Ends it now: the model has its best weights so far.
function Lesson:close() end

---What the cells of a layer did: an array [steps][H] for each gate (gru: r, z, n), the cell and the output.
---@class lstm.Trace
---@field steps integer
---@field layer integer its place in the model
---@field saturation table<string, {low: lstm.Array, high: lstm.Array}> by gate: shares of the steps, for each cell [H]
---@field i? lstm.Array
---@field f? lstm.Array
---@field g? lstm.Array
---@field o? lstm.Array
---@field c? lstm.Array
---@field h lstm.Array
---@field r? lstm.Array
---@field z? lstm.Array
---@field n? lstm.Array
---@field reverse? lstm.Trace the other direction of a bidirectional layer

---One step is trainer:train, or its parts: forward, loss, zero_gradients, backward, clip, update.
---@class lstm.Trainer
local Trainer = {}
---One step: forward, loss, backward, clip, update. nil, message, status "not_finite" where nothing was changed.
---@param x lstm.Array [T][B][I], or ids [T][B]
---@param y lstm.Array [T][B][O], or ids [T][B]
---@param options? lstm.BatchOptions
---@param more? boolean the update waits for the next call without it: all these batches count as one
---@return number? loss, number|string weight_or_message sum of the targets' weights, string? status
function Trainer:train(x, y, options, more) end
---A slice of train's step: call it with the same x and y, which are copied at the first call, until done. Any other call
---that changes the trainer ends the step. Without seconds and tiles: all that is left.
---@param x lstm.Array [T][B][I], or ids [T][B]
---@param y lstm.Array [T][B][O], or ids [T][B]
---@param options? lstm.SliceOptions those of a batch count at the first call
---@return boolean? done, number|string loss_or_message, number|string weight_or_status "not_finite": nothing was changed
function Trainer:train_some(x, y, options) end
---By the trainer's own loss. Returns sums.
---@param state lstm.State
---@param x lstm.Array
---@param y lstm.Array
---@param options? lstm.BatchOptions
---@return number loss, number weight, number targets, number correct
function Trainer:evaluate(state, x, y, options) end
---The outputs of a window, before softmax or sigmoid.
---@param x lstm.Array
---@param options? lstm.BatchOptions
---@return lstm.Array [T][B][O], or [1][B][O] where the model reads once
function Trainer:forward(x, options) end
---The mean loss of the last forward, and the sum of its targets' weights.
---@param y lstm.Array
---@param options? {weights: lstm.Array, burn_in: integer}
---@return number loss, number weight
function Trainer:loss(y, options) end
---Adds the gradients of the last forward: of its loss, of its outputs and of its final states. Once after each forward.
---@param flow? {d_output: lstm.Array, d_final: lstm.Array, d_input: boolean}
---@return {d_initial: lstm.Array, d_input: lstm.Array?} of the initial states [B][S]; of x where d_input is true
function Trainer:backward(flow) end
---Scales the gradients down to the norm that the options allow.
---@return number? norm of all gradients before clipping, string? message, string? status "not_finite"
function Trainer:clip() end
---Moves the weights by the gradients.
function Trainer:update() end
---Forgets the gradients that were added up.
function Trainer:zero_gradients() end
---Multiplies all gradients.
---@param factor number
function Trainer:scale_gradients(factor) end
---A copy of a tensor's gradient.
---@param name string
---@return lstm.Array
function Trainer:gradient(name) end
---The states in which the last window ended.
---@return lstm.Array [B][S]
function Trainer:final() end
---Checks the gradient of a loss of one's own: loss(y, d_y) returns a number for the outputs y[t][b][k] (before softmax
---or sigmoid) and, where d_y is not nil, fills it with the gradient. error: relative; ok: it is within the tolerance.
---@param x lstm.Array
---@param loss fun(y: number[][][], d_y: number[][][]?): number
---@param options? lstm.BatchOptions
---@return {ok: boolean, error: number, tensor: string, analytic: number, numeric: number} the worst tensor
function Trainer:gradcheck(x, loss, options) end
---Which shares of a layer's gate values are nearly shut or open, between forward and backward.
---@param layer? integer default: the first recurrent one
---@return table by gate {low =, high =}, and count
function Trainer:saturation(layer) end
---After backward: the norm of the gradient at the layer's gates at each step.
---@param layer? integer default: the first recurrent one
---@return lstm.Array [T]
function Trainer:step_norms(layer) end
---The next window starts from rest.
function Trainer:reset() end
---How many updates were made.
---@return integer
function Trainer:steps() end
---The learning rate before schedule and warm-up; with a number, sets it.
---@param rate? number
---@return number
function Trainer:lr(rate) end
---The rate of the next update, after schedule and warm-up.
---@return number
function Trainer:rate() end
---The norm of the last gradient, before clipping.
---@return number
function Trainer:norm() end
---Remembers the present weights as the best.
function Trainer:keep_best() end
---Of which step the weights are that keep_best kept (0 where it was not called).
---@return integer
function Trainer:kept() end
---Brings the weights back that keep_best remembered.
function Trainer:restore_best() end
---Writes a checkpoint; resume goes on from it.
---@param path string
---@param meta? table<string, string>
---@return true?, string? message, string? status
function Trainer:save(path, meta) end
---Goes on from the bytes of a checkpoint; nil, message, status where they are of another model or run.
---@param bytes string
---@return true?, string? message, string? status
function Trainer:resume(bytes) end
---The model that is trained.
---@return lstm.Model
function Trainer:model() end
---Frees the memory now, not when it is collected.
function Trainer:close() end

---What belongs to a batch of a trainer beside x and y.
---@class lstm.BatchOptions
---@field lengths? lstm.Array int32 [B]
---@field weights? lstm.Array [T][B]
---@field reset? boolean|lstm.Array
---@field initial? lstm.Array [B][S]
---@field burn_in? integer

---How much of a step one call of train_some does: until a time, at most so many tiles; at least one.
---@class lstm.SliceOptions: lstm.BatchOptions
---@field seconds? number
---@field tiles? integer

---An encoder and a decoder that begins where the encoder ends, made by lstm.seq2seq.
---@class lstm.Seq2seq
---@field encoder lstm.Model
---@field decoder lstm.Model
---@field loss lstm.Loss
---@field start? integer what a sentence of the decoder begins with, an id from 0; nil: the decoder writes numbers
---@field stop? integer what it ends with
local Pair = {}
---Trains both with teacher forcing. Options and results as model:fit; freeze and layer_rates have a list for each:
---{encoder = {1}, decoder = {1, 2}}. A checkpoint is PATH.encoder and PATH.decoder.
---@param train any {x = list of sequences, y = list of sequences} or lstm.sequences
---@param options? lstm.FitOptions
---@return lstm.History?, string? message, string? status, lstm.History? partial
function Pair:fit(train, options) end
---The mean loss and the metrics on pairs of sequences.
---@param data any
---@param options? {batch: integer, metrics: lstm.Metric[]}
---@return {loss: number, count: number, accuracy: number?, [lstm.Metric]: number?}
function Pair:evaluate(data, options) end
---Options of translate.
---@class lstm.TranslateOptions
---@field max? integer the most symbols (default 10 and twice the source; needed for numbers)
---@field beam? integer how many beginnings are followed at once (default 1: the likeliest symbol each time)
---@field length_penalty? number scores are divided by the length to this power (default 1)
---@field n? integer the n best of the beam: a list of outputs and one of scores, logarithms of probability
---@field temperature? number above 0 symbols are drawn (default 0)
---@field top_k? integer as for generate
---@field top_p? number
---@field seed? integer where symbols are drawn

---What the decoder writes for a source, reading what it wrote: a string, a list of ids from 0, or an array [max][O];
---with n a list of the best, and their scores. For a list of sources lists of these.
---@param source any one sequence, or a list of them
---@param options? lstm.TranslateOptions
---@return string|integer[]|lstm.Array|table output, table? scores
function Pair:translate(source, options) end
---The arrays of a batch of sentences, as trainer:train takes them.
---@param data any
---@return lstm.Array x, lstm.Array y, table extra
function Pair:batch(data) end
---A training run of the caller's own: trainer:train(pair:batch(data)).
---@param options? table
---@return table
function Pair:trainer(options) end
---Writes PATH.encoder and PATH.decoder, with start and stop in the decoder's meta. lstm.load(PATH) loads the pair.
---@param path string
---@return true?, string? message, string? status
function Pair:save(path) end
---The strings that travel in the decoder's file.
---@return table<string, string>
function Pair:strings() end
---How many numbers are learned in both.
---@return integer
function Pair:parameters() end

---One look at a run: what was measured. Other columns are allowed.
---@class lstm.Row
---@field epoch? integer
---@field step? integer
---@field loss number mean over the batches since the last look
---@field val_loss? number where there is a validation set
---@field accuracy? number of the validation set, for classes; so are the other metrics, where they were asked for
---@field lr? number
---@field norm? number of the last gradient
---@field seconds? number since the run began

---What fit returns: a list of rows. tostring(history) is a table for the terminal.
---@class lstm.History
---@field best? integer number of the best row
---@field best_value? number what the monitor was there
---@field waited integer rows since the best one
---@field monitor? string the column that decides: "val_loss" where there is one, else "loss"
---@field mode "min"|"max"
---@field min_delta number
---@field stopped? string why it ended: "finished", "patience", "seconds", "on_epoch", "on_step", "interrupted", ...
---@field [integer] lstm.Row
local History = {}
---Adds a row, which is not copied. Raises where it lacks the monitored column.
---@param row lstm.Row
---@return boolean best whether it is the best so far
function History:add(row) end
---The names of the columns that any row has.
---@return string[]
function History:columns() end
---One column as a list, NaN where a row has no value. Raises for a column that no row has.
---@param name string
---@return number[]
function History:column(name) end
---The losses, or some columns, as a text plot for the terminal, the best row marked. Raises for an empty history.
---@param options? lstm.ChartOptions also columns, a list of names
---@return string
function History:chart(options) end
---The rows as comma separated text with a header.
---@return string
function History:csv() end
---A sentence of advice about the run, or nil.
---@return string?
function History:advice() end
---The history as one string; lstm.history.frommeta reads it.
---@return string
function History:tometa() end
---@private
function History:judge(i, value) end
---@private
function History:line(row, names) end

---A model: lstm.model{input = 2, hidden = 32, output = 1}, or a list of layers: lstm.model{input = vocab,
---lstm.embedding(32), lstm.lstm{128}, output = vocab}. Raises for options that do not fit.
---@see lstm.csv
---@param options lstm.ModelOptions
---@return lstm.Model
function lstm.model(options) end
---Options of lstm.load.
---@class lstm.LoadOptions
---@field data? string the file's bytes, instead of a path
---@field layers? lstm.Layer[] of a foreign file
---@field prefixes? table<string, string> names in a foreign file, and what they are here
---@field isa? string
---@field numerics? "fused"|"portable" default: what the file says
---@field allow_not_finite? boolean

---A model; a pair where there is no file of this name, but PATH.encoder and PATH.decoder.
---@param path string|table
---@param options? lstm.LoadOptions
---@return lstm.Model|lstm.Seq2seq|nil, string? message, string? status
function lstm.load(path, options) end
---Options of lstm.embedding.
---@class lstm.EmbeddingOptions
---@field [1] integer columns
---@field tied? boolean the last dense layer uses the same table
---@field name? string

---Options of lstm.gru.
---@class lstm.GruOptions
---@field [1] integer cells
---@field read? lstm.Read of the last recurrent layer
---@field dropout? number of the inputs
---@field recurrent_dropout? number of h, one mask for a window
---@field zoneout? number
---@field learned_state? boolean
---@field bidirectional? boolean
---@field merge? "concat"|"sum"
---@field name? string

---Options of lstm.lstm: those of lstm.gru, and these.
---@class lstm.LstmOptions: lstm.GruOptions
---@field peephole? boolean
---@field coupled? boolean f = 1 - i
---@field projection? integer the width of h
---@field layer_norm? boolean
---@field cell_clip? number
---@field forget? "learned"|"zero"|"one"|"noise"
---@field noise? number with forget = "noise"
---@field activation? lstm.Activation
---@field gate_activation? lstm.Activation

---Options of lstm.dense.
---@class lstm.DenseOptions
---@field [1] integer outputs
---@field activation? lstm.Activation
---@field residual? boolean adds the model's first inputs to the outputs (of the last layer, linear; default false)
---@field name? string

---A layer that gives each token a row of a table that is learned; the first one, where the input is a vocabulary.
---@param size integer|lstm.EmbeddingOptions
---@return lstm.Layer
function lstm.embedding(size) end
---A layer of LSTM cells: lstm.lstm(64), lstm.lstm{64, bidirectional = true}.
---@param size integer|lstm.LstmOptions
---@return lstm.Layer
function lstm.lstm(size) end
---A layer of GRU cells: lstm.gru(64), lstm.gru{64, learned_state = true}.
---@param size integer|lstm.GruOptions
---@return lstm.Layer
function lstm.gru(size) end
---A linear layer, with or without an activation: lstm.dense{16, activation = "relu"}.
---@param size integer|lstm.DenseOptions
---@return lstm.Layer
function lstm.dense(size) end
---An encoder and a decoder. Recurrent layer by layer, the decoder has the type and size of the encoder (twice the size of
---a bidirectional one); raises otherwise. start, stop: what a sentence begins and ends with, a symbol or its number from
---1; default: as the decoder has learned, else the end of a line.
---@param options {encoder: lstm.Model, decoder: lstm.Model, start: string|integer|nil, stop: string|integer|nil}
---@return lstm.Seq2seq
function lstm.seq2seq(options) end
---A layer that drops this share of the values while it learns.
---@param rate number
---@return lstm.Layer
function lstm.dropout(rate) end

-- --- the rest --------------------------------------------------------------------------------------------------------

---A generator of random numbers, made by lstm.rng.
---@class lstm.Rng
local Rng = {}
---A random whole number.
---@param n integer
---@return integer from 1 to n
function Rng:index(n) end
---A random number from 0 to below 1.
---@return number
function Rng:uniform() end
---Brings the elements of an array into a random order, in place.
---@param array lstm.Array int32
---@return lstm.Array
function Rng:shuffle(array) end
---What lstm.rng needs to go on from here.
---@return integer seed, integer counter
function Rng:state() end

---A generator of random numbers: the same seed, the same numbers, on every machine.
---@param seed integer
---@param counter? integer
---@return lstm.Rng
function lstm.rng(seed, counter) end
---The seed of everything that is made without one of its own from here on.
---@param seed integer
function lstm.seed(seed) end
---How many threads calculate; with a number, sets it.
---@param n? integer
---@return integer
function lstm.threads(n) end
---The best instruction set that models may use; with a name, sets it.
---@param name? string
---@return string
function lstm.isa(name) end
---The instruction sets that this machine has.
---@return string[]
function lstm.isas() end
-- --- searches --------------------------------------------------------------------------------------------------------

---All numbers from low to high, for lstm.search.
---@class lstm.Range
---@field low number
---@field high number
---@param low number
---@param high number
---@param options? {log: boolean, whole: boolean, steps: integer} log: uniform in the logarithm; steps: of a grid
---@return lstm.Range
function lstm.range(low, high, options) end

---Options of lstm.search.
---@class lstm.SearchOptions
---@field space table<string, any[]|lstm.Range> values or a range for each option of fit, of the model, or of functions
---@field kind? "grid"|"random" all combinations (default), or some
---@field trials? integer how many at random (default 20)
---@field data any windows, a table of rows, sequences: what has folds; or, with validation, what fit takes
---@field folds? integer|{[1]: integer, by: "random"|"stratified"|"expanding", seed: integer} as data:folds (default 3)
---@field validation? any data to measure on, instead of folds
---@field prepare? fun(train: any, validation: any, o: table): any, any what is trained on and measured, of each fold
---@field model table|fun(o: table): lstm.Model options of lstm.model, or a function of the trial's values
---@field fit? lstm.FitOptions|fun(o: table): lstm.FitOptions
---@field monitor? string as for fit (default "val_loss"): its best value counts, the mean over the folds
---@field file? string CSV file with a line for each trial; where it is there, the search goes on with it
---@field seed? integer
---@field verbose? 0|1|2 0 silent, 1 a progress line (default), 2 that of each fit

---One trial of a search.
---@class lstm.Trial
---@field number integer
---@field options table<string, any> the values of the space
---@field words string the values as text
---@field status "ok"|"failed"
---@field message? string why it failed
---@field score number mean over the folds, NaN where it failed
---@field spread number their standard deviation
---@field folds number[]
---@field seconds number

---What lstm.search returns: trials, the best first. tostring: a table. `#trials`: how many.
---@class lstm.Trials
---@field best? lstm.Trial
---@field [integer] lstm.Trial
local Trials = {}
---Whether the trial of this number was made.
---@param number integer
---@return boolean made
function Trials:has(number) end
---@private
function Trials:keep(trial) end
---@private
function Trials:add(trial) end
---@private
function Trials:forget(message) end
---@private
function Trials:sort() end

---Tries options of models and of training, each by cross-validation. A trial that fails is recorded.
---@param options lstm.SearchOptions
---@return lstm.Trials?, string? message, string? status, lstm.Trials? partial
function lstm.search(options) end

---An argument or option of a script, for lstm.args.
---@class lstm.Argument
---@field [1] string "name": a positional, "--name": an option
---@field help? string
---@field default? any
---@field type? "string"|"integer"|"number" default: that of the default
---@field min? number
---@field max? number
---@field above? number
---@field below? number
---@field choices? any[]
---@field flag? boolean an option without a value
---@field many? boolean an option that may be given several times: its value is a list, empty where it is not given
---@field optional? boolean a positional that may be left out
---@field alias? string|string[] other spellings
---@field value? string what the help calls the value

---A value as text, as the prompt shows it: arrays with their shape and an elided middle, tables readable to the second
---level, everything else as tostring has it.
---@param value any
---@return string
function lstm.show(value) end
---Prints what there is to know about a function, a method, an object, or a name: lstm.help "fit". Without any: a list.
---@param what? any
function lstm.help(what) end

---The command line of a script: lstm.args{about = "...", {"file", help = "..."}, {"--hidden", default = 128}, ...}.
---Returns the values by name (dashes become underscores) and which of them were given. --help and --version print a
---text and end the program with code 0; a mistake prints a sentence and ends it with code 2. In the help:
---examples = {{"data.csv --hidden 64", "what that does"}, ...}.
---@class lstm.arguments
---@overload fun(spec: table, argv?: string[]): table<string, any>, table<string, boolean>
lstm.args = {}
---The same without printing and ending: nil and a sentence for a mistake; nil, nil and the text for --help.
---@param spec table
---@param argv string[] [0]: the script's name
---@return table? values, table|string? given_or_problem, string? help
function lstm.args.parse(spec, argv) end
---The text that --help prints.
---@param spec table
---@param program? string default "script.lua"
---@return string
function lstm.args.help(spec, program) end
---Some of the values as one string, to be kept with what they made.
---@param values table
---@param names string[]
---@return string
function lstm.args.keep(values, names) end
---Puts the values of such a string into `values`, but those that were given.
---@param values table
---@param given table
---@param text string
function lstm.args.recall(values, given, text) end
---The first option that was given and differs from such a string: how it was typed, and how it was kept.
---@param values table
---@param given table
---@param text string
---@param free? string[] names that may differ
---@return string? typed, string? kept
function lstm.args.conflict(values, given, text, free) end
---The command line, for a shell, that starts this script again.
---@param words string[]
---@param values table
---@param given table
---@param names string[] the options to repeat where they were given
---@return string
function lstm.args.command(words, values, given, names) end
---Ends the program with a sentence on stderr.
---@param message string
---@param code? integer default 1
function lstm.args.stop(message, code) end
---Whether a file can be written there, before hours of work depend on it.
---@param option string what to blame
---@param path? string
---@return true?, string? message
function lstm.args.writable(option, path) end

---A line of lstm.plot or lstm.chart.
---@class lstm.Series
---@field [1] lstm.Array|number[] values, [n] or [n][1]; NaN leaves a gap
---@field name? string for the legend
---@field x? lstm.Array|number[]|string[] as many places on the x axis (default 1, 2, ...), or dates such as "1981-02-28"
---@field style? "line"|"dash"|"dots"|"muted"|"thin" default "line"
---@field band? table {low, high}: an area around it

---Options of lstm.plot, and its series.
---@class lstm.PlotOptions
---@field file? string the SVG to write; without it the SVG is returned
---@field title? string
---@field x? string name of the axis
---@field y? string name of the axis
---@field log? boolean logarithmic y axis (default false)
---@field width? integer default 860
---@field height? integer default 420
---@field marks? {x: number, y: number, label: string?, series: integer?}[] rings on points
---@field x_ticks? {at: number, label: string}[] labels of the x axis (default: chosen)
---@field dates? boolean x are days since 1970-01-01
---@field [integer] lstm.Series

---A line plot: lstm.plot{file = "a.svg", title = "...", {values, name = "measured"}, ...}. Returns true (or the SVG),
---or nil, message, status where the file cannot be written. Raises for unknown options and no series.
---@class lstm.plots
---@overload fun(options: lstm.PlotOptions): true|string|nil, string?, string?
lstm.plot = {}
---The losses of a run, with a ring on the best row. Raises for an empty history and unknown options.
---@param history lstm.History
---@param file? string the SVG to write; without it the SVG is returned
---@param options? {title: string, y: string, log: boolean, metrics: string[]|boolean, width: integer, height: integer}
---@return true|string? svg, string? message, string? status
function lstm.plot.history(history, file, options) end

---Options of lstm.plot.forecast.
---@class lstm.ForecastPlotOptions
---@field truth lstm.Array|number[] what was measured
---@field guess lstm.Array|number[] what the model said
---@field naive? lstm.Array|number[] what persistence says, for its error and, up to 120 values, its line
---@field band? number|table so much around the guess, or {low, high}
---@field coming? lstm.Array|number[] forecasts of the rows after those, dashed
---@field dates? string[]|number[]|lstm.Array of truth and coming: "1981-02-28", or days since 1970-01-01
---@field residuals? boolean a histogram of the errors beside it
---@field last? integer draw only so many of the last values
---@field title? string
---@field x? string name of the axis
---@field y? string name of the axis
---@field width? integer pixels, default 860
---@field height? integer pixels, default 420
---@field inline? boolean without a style of its own, for a page that has one

---A forecast beside what was measured and what persistence would have said, with the RMSE of both.
---@param file? string the SVG to write; without it the SVG is returned
---@param options lstm.ForecastPlotOptions
---@return true|string? svg, string? message, string? status
---@overload fun(options: lstm.ForecastPlotOptions): string
function lstm.plot.forecast(file, options) end
---A confusion matrix: truth in rows, guesses in columns, counts and shares, recall and precision.
---@param confusion {labels: string[], counts: lstm.Array|number[][]} as model:confusion gives it
---@param file? string the SVG to write; without it the SVG is returned
---@param options? {title: string, width: integer}
---@return true|string? svg, string? message, string? status
function lstm.plot.confusion(confusion, file, options) end
---A page that colours a text by any cell of a model; the part of lstm.report that does that.
---@param model lstm.Model that reads a vocabulary
---@param text string|lstm.Tokens
---@param file? string the HTML file to write; without it the page is returned
---@param options? {title: string, top: integer, length: integer, features: table<string, function>}
---@return true|string? page, string? message, string? status
function lstm.plot.cells(model, text, file, options) end

---Options of lstm.chart and history:chart.
---@class lstm.ChartOptions
---@field width? integer columns, default those of the terminal, at most 100
---@field height? integer rows of the field, default 12
---@field title? string
---@field x? string name of the axis
---@field y? string name of the axis
---@field log? boolean logarithmic y axis
---@field dates? boolean x are days since 1970-01-01
---@field marks? {x: number, y: number, label: string?}[]
---@field ascii? boolean default: where the locale is not UTF-8
---@field color? boolean default: where stdout is a terminal with colours
---@field columns? string[] of a history: what to draw

---A plot as text for the terminal. Raises for what is no number and unknown options.
---@param values lstm.Array|number[]|lstm.Series[] one series, or several
---@param options? lstm.ChartOptions
---@return string
function lstm.chart(values, options) end
---A line of blocks as high as the values; NaN is a space.
---@param values lstm.Array|number[]
---@param options? {width: integer, ascii: boolean} width: at most so many blocks, each the mean of its values
---@return string
function lstm.spark(values, options) end

---Options of lstm.report.
---@class lstm.ReportOptions
---@field title? string
---@field model? lstm.Model its summary; needed for text and data
---@field history? lstm.History curves, metrics, advice
---@field samples? {step: number?, text: string}[] what the model wrote while it learned
---@field text? string|lstm.Tokens coloured by any cell; expectations, losses, gate saturation
---@field length? integer at most so many symbols of the text, default 2000
---@field top? integer how many expectations to show, default 5
---@field features? table<string, fun(symbol: string, t: integer, symbols: string[]): number|boolean?> what cells may follow
---@field data? lstm.Windows|lstm.Table|lstm.Sequences the forecast or confusion matrix of it, the cells over its steps
---@field sequence? integer whose steps to show, default 1
---@field forecast? lstm.ForecastPlotOptions|lstm.ForecastPlotOptions[]
---@field results? string more words on them, as they stand
---@field confusion? {labels: string[], counts: lstm.Array|number[][]}
---@field log? boolean logarithmic axis for the losses

---An HTML page about a model and its training that needs no network and no other files.
---@param file? string the HTML file to write; without it the page is returned
---@param options lstm.ReportOptions
---@return true|string? page, string? message, string? status
---@overload fun(options: lstm.ReportOptions): string
function lstm.report(file, options) end

---Options of lstm.progress.new.
---@class lstm.ProgressOptions
---@field title? string
---@field total? number how many there are; nil: unknown
---@field unit? string default "step"
---@field start? number how many are done already (default 0)
---@field budget? number seconds; the bar then follows the clock
---@field verbose? 0|1|2 0 silent, 1 one line (default), 2 also a line that stays for each report
---@field sink? table where to write (default: the terminal)

---A progress line on stderr.
---@class lstm.Bar
local Bar = {}
---Tells how many are done; cheap, the line is redrawn when it is time.
---@param done number
---@param values? table<string, number> to show; they stay until they are replaced
function Bar:update(done, values) end
---Tells of something worth a line in a log.
---@param done number
---@param values? table<string, number>
function Bar:report(done, values) end
---Writes a line of text above the progress line.
---@param text string
function Bar:say(text) end
---Seconds since the line was made.
---@return number
function Bar:elapsed() end
---Whether the budget is spent.
---@return boolean
function Bar:over() end
---Draws the line a last time and leaves it standing. May be called twice.
function Bar:close() end
---@private
function Bar:measure(now) end
---@private
function Bar:share(now) end
---@private
function Bar:counts(now, brief) end
---@private
function Bar:losses() end
---@private
function Bar:line(now, columns, with_bar) end
---@private
function Bar:spark(room) end
---@private
function Bar:redraw(now) end
---@private
function Bar:keep(text, now) end

---Counts with a progress line: for i, bar in lstm.progress(n, "reading") do work() end.
---@class lstm.progresses
---@overload fun(n: integer, title?: string): fun(): integer?, lstm.Bar?
lstm.progress = {}
---A line of one's own. Raises for unknown options.
---@param options? lstm.ProgressOptions
---@return lstm.Bar
function lstm.progress.new(options) end
---Whether text for a stream may be coloured.
---@param stream? 1|2 stdout or stderr (default)
---@return boolean
function lstm.progress.color(stream) end
---How many columns the terminal has; 80 where there is none.
---@return integer
function lstm.progress.columns() end

lstm.history = {}
---A new, empty history. Raises for unknown options.
---@param options? {monitor: string, mode: "min"|"max", min_delta: number}
---@return lstm.History
function lstm.history.new(options) end
---The history of a string made by history:tometa.
---@param text string
---@return lstm.History?, string? message, string? status "format"
function lstm.history.frommeta(text) end

return lstm
