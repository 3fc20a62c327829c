import os
import sys

from pysimplesoap.client import SoapClient

parameters = {name.lower(): os.environ[name] for name in ("RECIPIENTS", "MESSAGE", "APIKEY")}
if sys.argv[1] == "by WSDL":
    client = SoapClient(wsdl=os.environ["WSDL"])
    result = client.sendSms(**parameters)["return"]
    print(result["error"], result["sent"], result["id"])
    status = client.getStatus(apikey=os.environ["APIKEY"], id=result["id"])["return"]
    recipients = [each["recipient"] for each in status["deliveries"]]
    print(status["error"], ",".join(recipients))
else:
    client = SoapClient(
        location=os.environ["ENDPOINT"], action="urn:sendSmsNow", namespace="urn:sendSmsNow"
    )
    answer = client.sendSms(**parameters)
    print(answer.error, answer.sent, answer.id)
