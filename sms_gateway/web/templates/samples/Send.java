import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;

public class Send {
    public static void main(String[] arguments) throws Exception {
        String form = "recipients=" + encode("0032494000000")
            + "&message=" + encode("Hello World");
        HttpRequest request = HttpRequest.newBuilder(URI.create("{{ public_url }}/sendsms/"))
            .header("Authorization", "Bearer YOUR_KEY")
            .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            .POST(BodyPublishers.ofString(form))
            .build();
        System.out.println(
            HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body());
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }
}
