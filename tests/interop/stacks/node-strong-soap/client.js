const { soap } = require('strong-soap');
const { WSDL, RECIPIENTS, MESSAGE, APIKEY } = process.env;

const options = process.argv[2].endsWith('1.2') ? { forceSoap12Headers: true } : {};
soap.createClient(WSDL, options, (error, client) => {
  if (error) throw error;
  client.sendSms({ recipients: RECIPIENTS, message: MESSAGE, apikey: APIKEY }, (error, answer) => {
    if (error) throw error;
    const result = answer.return;
    console.log(result.error, result.sent, result.id);
    client.getStatus({ apikey: APIKEY, id: result.id }, (error, answer) => {
      if (error) throw error;
      const status = answer.return;
      console.log(status.error, status.deliveries.map((delivery) => delivery.recipient).join(','));
    });
  });
});
