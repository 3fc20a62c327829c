const soap = require('soap');
const { WSDL, RECIPIENTS, MESSAGE, APIKEY } = process.env;

async function main(way) {
  const options = way.endsWith('1.2') ? { forceSoap12Headers: true } : {};
  const client = await soap.createClientAsync(WSDL, options);
  const parameters = { recipients: RECIPIENTS, message: MESSAGE, apikey: APIKEY };
  const port = way.includes('port') ? 'sendSmsNowPort12' : 'sendSmsNowPort';
  const call = (operation, given) => new Promise((resolve, reject) =>
    client.sendSmsNow[port][operation](given, (error, result) => error ? reject(error) : resolve(result.return)));

  const result = await call('sendSms', parameters);
  console.log(result.error, result.sent, result.id);
  const status = await call('getStatus', { apikey: APIKEY, id: result.id });
  console.log(status.error, status.deliveries.map((delivery) => delivery.recipient).join(','));
}

main(process.argv[2]);
