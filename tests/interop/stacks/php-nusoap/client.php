<?php
error_reporting(E_ERROR);
require_once getenv('NUSOAP');

$parameters = [
    'recipients' => getenv('RECIPIENTS'),
    'message' => getenv('MESSAGE'),
    'apikey' => getenv('APIKEY'),
];

if ($argv[1] == 'without the WSDL') {
    $client = new nusoap_client(getenv('ENDPOINT'));
    $result = $client->call('sendSms', $parameters, 'urn:sendSmsNow', 'urn:sendSmsNow#sendSms');
    echo "{$result['error']} {$result['sent']} {$result['id']}\n";
    exit;
}

$client = new nusoap_client(getenv('WSDL'), 'wsdl');
if ($argv[1] == 'by WSDL, UTF-8') {
    $client->soap_defencoding = 'UTF-8';
    $client->decode_utf8 = false;
}
$result = $client->call('sendSms', $parameters);
echo "{$result['return']['error']} {$result['return']['sent']} {$result['return']['id']}\n";

$status = $client->call('getStatus', ['apikey' => getenv('APIKEY'), 'id' => $result['return']['id']]);
$recipients = array_column($status['return']['deliveries'], 'recipient');
echo $status['return']['error'], ' ', implode(',', $recipients), "\n";
