-- Sends the requests of a file in turn (bench/requests.ts writes it) and counts the answers that hold a result, or the text BENCH_ANSWER.
--   BENCH_REQUESTS=<file> wrk -t1 -c16 -d2s -s bench/wrk/tool-call.lua http://127.0.0.1:<port>
-- The last line of the output is JSON; times are in microseconds.

local requests = {}
local next_request = 0
local main_thread
local answer

answered = 0
refused = 0
sample = ""

function setup(thread)
  main_thread = thread
end

function init()
  answer = os.getenv("BENCH_ANSWER") or '"result":'
  local file = assert(io.open(assert(os.getenv("BENCH_REQUESTS"), "BENCH_REQUESTS names no file"), "rb"))
  local text = file:read("*a") .. "\0"
  file:close()
  local from = 1
  while from <= #text do
    local to = text:find("\0", from, true)
    requests[#requests + 1] = text:sub(from, to - 1)
    from = to + 1
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function response(status, _, body)
  if status == 200 and body:find(answer, 1, true) and not body:find('"isError":true', 1, true) then
    answered = answered + 1
  else
    refused = refused + 1
    if refused == 1 then
      sample = status .. " " .. body:sub(1, 300)
    end
  end
end

local function json_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"refused":%d,"socketErrors":%d,"durationMicros":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d,"max":%d,"sample":%s}\n',
    main_thread:get("answered"), main_thread:get("refused"),
    errors.connect + errors.read + errors.write + errors.timeout, summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max,
    json_string(main_thread:get("sample"))))
end
