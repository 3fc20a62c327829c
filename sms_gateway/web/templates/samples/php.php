<?php
$client = new SoapClient('{{ public_url }}/sendsms/wsdl/sendSmsNow.wsdl');
$reply = $client->sendSms([
    'recipients' => '0032494000000',
    'message' => 'Hello World',
    'apikey' => 'YOUR_KEY',
])->return;
echo "error {$reply->error}, sent {$reply->sent}, id {$reply->id}\n";
