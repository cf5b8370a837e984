using BenchmarkDotNet.Attributes;
using Postwright.Protocol.Mail;
using Postwright.Protocol.Smtp;

namespace Postwright.Bench;

/// <summary>What every command and every byte of content goes through.</summary>
public class ParserBenchmarks
{
    private readonly byte[] _small = Samples.Data(1000);
    private readonly byte[] _large = Samples.Data(1_000_000);
    private readonly byte[] _mail = "MAIL FROM:<sender@example.com> SIZE=1000 BODY=8BITMIME"u8.ToArray();
    private readonly byte[] _plain = "<user@example.net>"u8.ToArray();
    private readonly byte[] _quoted = "<\"user name\"@example.net>"u8.ToArray();
    private readonly CommandTokens _tokens = new();

    [Benchmark(Description = "DataScanner, 1 kB")]
    public int ScanSmall() => Scan(_small);

    [Benchmark(Description = "DataScanner, 1 MB")]
    public int ScanLarge() => Scan(_large);

    [Benchmark(Description = "CommandTokens, MAIL with SIZE and BODY")]
    public int Tokens()
    {
        _tokens.Parse(_mail);
        return _tokens.Count;
    }

    [Benchmark(Description = "SmtpPath, plain address")]
    public string PlainPath() => SmtpPath.TryParse(_plain, strict: false, out string address) ? address : throw new InvalidOperationException();

    [Benchmark(Description = "SmtpPath, quoted local part")]
    public string QuotedPath() => SmtpPath.TryParse(_quoted, strict: false, out string address) ? address : throw new InvalidOperationException();

    [Benchmark(Description = "AddressList, three addresses of a To: header")]
    public int HeaderAddresses() => AddressList.Addresses("User One <one@example.net>, two@example.net, \"Three, T.\" <three@example.net>").Count;

    private static int Scan(byte[] input)
    {
        DataScanner scanner = new(isStrict: false, hasDots: true);
        int kept = 0;
        for (int position = 0; position < input.Length;)
        {
            DataPiece piece = scanner.Next(input.AsSpan(position));
            kept += piece.Length;
            position += piece.Consumed;
            if (piece.IsEnd)
            {
                return kept;
            }
        }

        throw new InvalidOperationException("no end");
    }
}
