// A SOAP server on node's `soap`, which answers and stores nothing. Arguments: PORT WSDL.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const soap = require('soap');

const [port, wsdl] = process.argv.slice(2);
const answer = { return: { error: 0, sent: 1, id: '0198c0de00007000800000000000abcd' } };
const server = http.createServer((request, response) => response.writeHead(404).end());
const operations = { sendSms: () => answer };
server.keepAliveTimeout = 75000;
server.listen(Number(port), '127.0.0.1', () => {
  soap.listen(server, '/sendsms/soap/', {
    sendSmsNow: { sendSmsNowPort: operations, sendSmsNowPort12: operations },
  }, fs.readFileSync(wsdl, 'utf8'));
});
