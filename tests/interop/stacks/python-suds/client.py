import os

from suds.client import Client

service = Client(os.environ["WSDL"], cache=None).service
result = service.sendSms(os.environ["RECIPIENTS"], os.environ["MESSAGE"], os.environ["APIKEY"])
print(result.error, result.sent, result.id)
status = service.getStatus(os.environ["APIKEY"], result.id)
print(status.error, ",".join(delivery.recipient for delivery in status.deliveries))
