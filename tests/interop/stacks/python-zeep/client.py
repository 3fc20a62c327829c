import os
import sys

import zeep

client = zeep.Client(os.environ["WSDL"])
port = "sendSmsNowPort12" if sys.argv[1].endswith("1.2") else "sendSmsNowPort"
service = client.bind("sendSmsNow", port)
result = service.sendSms(
    recipients=os.environ["RECIPIENTS"],
    message=os.environ["MESSAGE"],
    apikey=os.environ["APIKEY"],
)
print(result.error, result.sent, result.id)
status = service.getStatus(apikey=os.environ["APIKEY"], id=result.id)
print(status.error, ",".join(delivery.recipient for delivery in status.deliveries))
