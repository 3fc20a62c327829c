<?php
$parameters = [
    'recipients' => getenv('RECIPIENTS'),
    'message' => getenv('MESSAGE'),
    'apikey' => getenv('APIKEY'),
];
$options = ['soap_version' => str_ends_with($argv[1], '1.2') ? SOAP_1_2 : SOAP_1_1];

if (str_starts_with($argv[1], 'without')) {
    $options += ['location' => getenv('ENDPOINT'), 'uri' => 'urn:sendSmsNow'];
    $client = new SoapClient(null, $options);
    $named = [];
    foreach ($parameters as $name => $value) {
        $named[] = new SoapParam($value, $name);
    }
    $return = $client->__soapCall('sendSms', $named);
    echo "$return->error $return->sent $return->id\n";
    exit;
}

if (str_contains($argv[1], 'gzip')) {
    $options['compression'] = SOAP_COMPRESSION_ACCEPT | SOAP_COMPRESSION_GZIP | 5;
}
$client = new SoapClient(getenv('WSDL'), $options + ['cache_wsdl' => WSDL_CACHE_NONE]);
$return = $client->sendSms($parameters)->return;
echo "$return->error $return->sent $return->id\n";

$status = $client->getStatus(['apikey' => getenv('APIKEY'), 'id' => $return->id])->return;
echo $status->error, ' ', implode(',', array_column($status->deliveries, 'recipient')), "\n";
