-- answer: ends what "classify" has prepared.
--
-- A real strategy would look for an agent or ask an application server; this one decides from the
-- attributes alone, so that the example needs nothing else.

local attributes = interaction.attributes

-- Somebody may have placed this here by hand, without "classify". It goes there first; an interaction that
-- has been through it before has a category, so this cannot go round in circles.
if attributes.category == nil then
    log("not classified yet, sent back from queue", interaction.queue)
    place("inbound", {reason = "not classified"})
end

-- Lists and messages of machines need no answer.
local automatic = {["mailer-daemon"] = true, ["no-reply"] = true, ["noreply"] = true}
local from = attributes.from
local sender = type(from) == "string" and from:lower():match("([%w%.%-_]+)@") or ""

if automatic[sender] then
    stop("automatic message")
end

-- How long it took so far, in seconds; kept for reports. A float: 12.5, not "12.5".
if interaction.received_at then
    interaction:set {waited_seconds = math.max(0, os.time() - interaction.received_at)}
end
interaction:set {answered_by = interaction.strategy}

stop("answered: " .. tostring(attributes.category))
