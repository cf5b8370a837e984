using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables.Remote;

/// <summary>The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.</summary>
internal sealed class ScramClient
{
    /// <summary>Servers ask for 4,096 to 15,000 rounds; one that asks for more than this wants our time.</summary>
    private const int MaxIterations = 1_000_000;

    private readonly string _password;
    private readonly string _nonce;
    private readonly string _firstBare;
    private byte[]? _serverSignature;

    public ScramClient(string user, string password, IChance chance)
    {
        byte[] random = new byte[18];
        chance.Fill(random);
        _password = password;
        _nonce = Convert.ToBase64String(random);
        string name = user.Replace("=", "=3D", StringComparison.Ordinal).Replace(",", "=2C", StringComparison.Ordinal);
        _firstBare = $"n={name},r={_nonce}";
    }

    /// <summary>The first message.</summary>
    public string First => "n,," + _firstBare;

    /// <summary>The answer to the server's first message.</summary>
    /// <exception cref="RemoteFailure">The message is not what SCRAM prescribes.</exception>
    public string Final(string serverFirst)
    {
        Dictionary<char, string> fields = Fields(serverFirst);
        if (!fields.TryGetValue('r', out string? nonce) || !nonce.StartsWith(_nonce, StringComparison.Ordinal) || nonce.Length == _nonce.Length
            || !fields.TryGetValue('s', out string? salt64) || !fields.TryGetValue('i', out string? rounds)
            || !int.TryParse(rounds, NumberStyles.None, CultureInfo.InvariantCulture, out int iterations) || iterations is < 1 or > MaxIterations)
        {
            throw new RemoteFailure("malformed SCRAM challenge");
        }

        byte[] salt = new byte[salt64.Length];
        if (!Convert.TryFromBase64String(salt64, salt, out int length))
        {
            throw new RemoteFailure("malformed SCRAM challenge");
        }

        byte[] salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(_password), salt.AsSpan(0, length), iterations, HashAlgorithmName.SHA256, 32);
        byte[] clientKey = HMACSHA256.HashData(salted, "Client Key"u8);
        string withoutProof = $"c=biws,r={nonce}";
        byte[] message = Encoding.UTF8.GetBytes($"{_firstBare},{serverFirst},{withoutProof}");
        byte[] proof = HMACSHA256.HashData(SHA256.HashData(clientKey), message);
        for (int i = 0; i < proof.Length; i++)
        {
            proof[i] ^= clientKey[i];
        }

        _serverSignature = HMACSHA256.HashData(HMACSHA256.HashData(salted, "Server Key"u8), message);
        return $"{withoutProof},p={Convert.ToBase64String(proof)}";
    }

    /// <summary>Checks that the server knows the password too.</summary>
    /// <exception cref="RemoteFailure">It does not.</exception>
    public void Verify(string serverFinal)
    {
        byte[] signature = new byte[serverFinal.Length];
        if (_serverSignature is null || !Fields(serverFinal).TryGetValue('v', out string? value)
            || !Convert.TryFromBase64String(value, signature, out int length)
            || !CryptographicOperations.FixedTimeEquals(signature.AsSpan(0, length), _serverSignature))
        {
            throw new RemoteFailure("the server does not know the password");
        }
    }

    private static Dictionary<char, string> Fields(string message)
    {
        var fields = new Dictionary<char, string>();
        foreach (string part in message.Split(','))
        {
            if (part.Length >= 2 && part[1] == '=')
            {
                fields.TryAdd(part[0], part[2..]);
            }
        }

        return fields;
    }
}
