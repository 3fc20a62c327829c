use strict;
use warnings;
use SendSmsNowInterfaces::sendSmsNow::sendSmsNowPort;

my $service = SendSmsNowInterfaces::sendSmsNow::sendSmsNowPort->new({ proxy => $ENV{ENDPOINT} });
utf8::decode(my $message = $ENV{MESSAGE});
my $answer = $service->sendSms({
    recipients => $ENV{RECIPIENTS}, message => $message, apikey => $ENV{APIKEY},
});
die "$answer" unless $answer;
my $result = $answer->get_return;
print join(' ', $result->get_error, $result->get_sent, $result->get_id), "\n";
my $status = $service->getStatus({ apikey => $ENV{APIKEY}, id => $result->get_id })->get_return;
my $deliveries = $status->get_deliveries;
print $status->get_error, ' ', join(',', map { $_->get_recipient } @$deliveries), "\n";
