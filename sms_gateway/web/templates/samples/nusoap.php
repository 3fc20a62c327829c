<?php
require 'nusoap.php';

$client = new nusoap_client('{{ public_url }}/sendsms/wsdl/sendSmsNow.wsdl', 'wsdl');
$client->soap_defencoding = 'UTF-8';
$client->decode_utf8 = false;
$reply = $client->call('sendSms', [
    'recipients' => '0032494000000',
    'message' => 'Hello World',
    'apikey' => 'YOUR_KEY',
])['return'];
echo "error {$reply['error']}, sent {$reply['sent']}, id {$reply['id']}\n";
