import java.util.stream.Collectors;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.WebServiceFeature;
import javax.xml.ws.soap.AddressingFeature;
import sendsmsnow.*;

public class Client {
    public static void main(String[] arguments) throws Exception {
        WebServiceFeature[] features = arguments[0].contains("addressing")
            ? new WebServiceFeature[] {new AddressingFeature(true, true)} : new WebServiceFeature[0];
        SendSmsNow service = new SendSmsNow(new java.net.URL(System.getenv("WSDL")));
        SendSmsNowPortType port = arguments[0].endsWith("1.2")
            ? service.getSendSmsNowPort12(features) : service.getSendSmsNowPort(features);
        String key = System.getenv("APIKEY");
        SendSmsResult result = port.sendSms(System.getenv("RECIPIENTS"), System.getenv("MESSAGE"), key);
        System.out.println(result.getError() + " " + result.getSent() + " " + result.getId());
        GetStatusResult status = port.getStatus(key, result.getId());
        System.out.println(status.getError() + " " + status.getDeliveries().stream()
            .map(Delivery::getRecipient).collect(Collectors.joining(",")));
    }
}
