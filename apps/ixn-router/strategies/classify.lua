-- classify: what is this message about, and how urgent is it?
--
-- Runs for every interaction in the queue whose strategy is "classify" (see docs/routers.md). It looks at
-- the attributes that the media server set (subject, from, text), adds what it found out, and places the
-- interaction into the queue "support", whose strategy is "answer".

-- Words, in lower case, that hint at a category. The category with the most hits wins.
-- Everything at the top of the file is made anew for each interaction, so it cannot leak between them.
local categories = {
    billing = {"invoice", "payment", "refund", "price", "charge"},
    technical = {"error", "crash", "bug", "fail", "install", "patch", "broken"},
    account = {"password", "login", "account", "register", "subscribe"},
}

-- Attributes come from outside: one may be missing (nil), null, or a number. As text, whatever it is.
local function text_of(name)
    local value = interaction.attributes[name]
    if value == nil or value == null then
        return ""
    end
    return type(value) == "string" and value or tostring(value)
end

-- How often one of the words occurs. "true" makes find look for the word itself, not for a pattern.
local function count(text, words)
    local hits = 0
    for _, word in ipairs(words) do
        if text:find(word, 1, true) then
            hits = hits + 1
        end
    end
    return hits
end

local function categorize(text)
    local best, most = "general", 0
    for category, words in pairs(categories) do
        local hits = count(text, words)
        -- pairs() has no order; equal hits are decided by name, so that the same message always
        -- gets the same category.
        if hits > most or (hits == most and hits > 0 and category < best) then
            best, most = category, hits
        end
    end
    return best, most
end

local subject = text_of("subject")
-- The first 20,000 bytes say enough, and bound the work.
local text = (subject .. "\n" .. text_of("text"):sub(1, 20000)):lower()
local category, hits = categorize(text)

-- The part behind the @ of the sender, without brackets or comments.
local domain = text_of("from"):match("@([%w%.%-]+)")

local urgent = subject:lower():find("urgent", 1, true) ~= nil or subject:find("!!", 1, true) ~= nil

-- Kept with the interaction from now on. It is sent together with the result below, in one message.
interaction:set {
    category = category,
    classification = {hits = hits, reply = subject:lower():match("^%s*re:") ~= nil},
    sender_domain = domain or null,
}

-- The end: nothing after place() runs.
place("support", {
    priority = interaction.priority + (urgent and 10 or 0),
    reason = "classified as " .. category,
})
