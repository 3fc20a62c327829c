const easySoapRequest = require('easy-soap-request');
const { ENDPOINT, RECIPIENTS, MESSAGE, APIKEY } = process.env;

const envelope = process.argv[2].endsWith('1.2')
  ? 'http://www.w3.org/2003/05/soap-envelope'
  : 'http://schemas.xmlsoap.org/soap/envelope/';
const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const xml = `<soapenv:Envelope xmlns:soapenv="${envelope}" xmlns:urn="urn:sendSmsNow">
  <soapenv:Header/>
  <soapenv:Body>
    <urn:sendSms>
      <urn:recipients>${RECIPIENTS}</urn:recipients>
      <urn:message>${escaped(MESSAGE)}</urn:message>
      <urn:apikey>${APIKEY}</urn:apikey>
    </urn:sendSms>
  </soapenv:Body>
</soapenv:Envelope>`;

easySoapRequest({ url: ENDPOINT, headers: {}, xml }).then(({ response }) => {
  const member = (name) => response.body.match(`<${name}>(.*)</${name}>`)[1];
  console.log(member('error'), member('sent'), member('id'));
});
