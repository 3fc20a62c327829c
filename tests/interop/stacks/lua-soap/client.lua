local client = require "soap.client"

local function parameter(name)
  return { tag = name:lower(), os.getenv(name) }
end

local namespace, method, result = client.call {
  url = os.getenv "ENDPOINT",
  namespace = "urn:sendSmsNow",
  soapaction = "urn:sendSmsNow#sendSms",
  method = "sendSms",
  soapversion = arg[1]:match "1%.2$" and 1.2 or 1.1,
  entries = { parameter "RECIPIENTS", parameter "MESSAGE", parameter "APIKEY" },
}
local outcome = result[1]
print(outcome[1][1], outcome[2][1], outcome[3][1])
