-- triage: what is this message about? Asks a classification server, where "classify" looks for words.
--
-- Any server of the type will do (docs/applications.md). The question is safe to ask twice, so when a
-- server dies with it another one answers; while none is there it waits, as long as `timeout` says.

-- Attributes come from outside: one may be missing (nil), null, or a number. As text, whatever it is.
local function text_of(name)
    local value = interaction.attributes[name]
    if value == nil or value == null then
        return ""
    end
    return type(value) == "string" and value or tostring(value)
end

-- The first characters say enough, and 64 KiB are the limit. Never cut inside one: it has to stay UTF-8.
local function head(text, characters)
    local stop = utf8.offset(text, characters + 1)
    return stop and text:sub(1, stop - 1) or text
end

local ok, answer, server = pcall(service.call, {
    type = "classification",
    service = "classify",
    parameters = {
        subject = head(text_of("subject"), 500),
        text = head(text_of("text"), 8000),
    },
    timeout = 60,
    safe = true,
})

-- A fault is no reason to lose the message: it goes on, and says what happened.
if ok then
    interaction:set {category = answer.label, probability = answer.probability, classified_by = server}
    place("support", {reason = "classified as " .. answer.label})
else
    interaction:set {category = "general", classification_fault = answer.code}
    place("support", {reason = "not classified: " .. answer.code})
end
