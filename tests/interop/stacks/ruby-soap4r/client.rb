require 'soap/wsdlDriver'

# soap4r tells REXML the encoding after it has begun to read, which loses the beginning today.
class XSD::XMLParser::REXMLParser
  def charset = nil
end

service = SOAP::WSDLDriverFactory.new(ENV['WSDL']).create_rpc_driver('sendSmsNow', 'sendSmsNowPort')
parameters = { recipients: ENV['RECIPIENTS'], message: ENV['MESSAGE'], apikey: ENV['APIKEY'] }
result = service.sendSms(parameters)['return']
puts [result['error'], result['sent'], result['id']].join(' ')
status = service.getStatus(apikey: ENV['APIKEY'], id: result['id'])['return']
puts [status['error'], status['deliveries'].map { |delivery| delivery['recipient'] }.join(',')].join(' ')
